// Counts one payload with the SDK as it is and prints what it gave, one JSON object.
//
// node count_tokens.mjs BASE_URL TOKEN '{"params": {…}, "betas": […], "headers": {…}}'
import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey, text] = process.argv.slice(2);
const { params, betas, headers } = JSON.parse(text);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });

async function count() {
  const calls = betas ? client.beta.messages : client.messages;
  const { data, response, request_id } = await calls
    .countTokens(betas ? { ...params, betas } : params, { headers })
    .withResponse();
  return { data, requestId: request_id, headers: Object.fromEntries(response.headers) };
}

try {
  console.log(JSON.stringify(await count()));
} catch (error) {
  if (!(error instanceof Anthropic.APIError)) throw error;
  const { status, type, message, requestID } = error;
  console.log(JSON.stringify({ class: error.constructor.name, status, type, message, requestID }));
}
