#!/usr/bin/env bash
# Builds the image without a Docker engine: buildah in a chroot, as root, on Debian or Ubuntu.
# BASE names the image to build on; without one a Debian with Python is made by debootstrap, so that
# no registry is needed either.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export BUILDAH_ISOLATION=chroot

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed: apt-get install buildah debootstrap" >&2; exit 2; }
done

if [ -z "${BASE:-}" ]; then
    BASE=localhost/weighbridge-base
    if ! buildah inspect --type image "$BASE" >/dev/null 2>&1; then
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        echo 'Making a base of Debian and Python: two minutes, once' >&2
        mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
            bookworm "$root" "$mirror" >/dev/null
        container=$(buildah from scratch)
        buildah add --quiet "$container" "$root" / >/dev/null
        buildah config --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$container"
        buildah commit --quiet --rm "$container" "$BASE" >/dev/null
    fi
fi

# The certificate authorities that this machine trusts, for the package index.
buildah bud --quiet --format docker --file deploy/image/Dockerfile --tag weighbridge \
    --build-arg BASE="$BASE" \
    --build-arg REVISION="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro . >/dev/null
buildah images --format '{{.Name}}  {{.Size}}' weighbridge
