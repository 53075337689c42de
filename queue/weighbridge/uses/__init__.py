"""The decisions that counts allow, on top of the client.

One module each: ``guard``, ``route``, ``prune``, ``compare`` and ``audit``::

    from weighbridge.uses import audit, prune

    result = await prune.prune(wb, body, max_input_tokens=150_000)
    weighed = await audit.audit(wb, tools, model="…")

None raises because a payload cannot be counted: that is an outcome in each decision.
"""
