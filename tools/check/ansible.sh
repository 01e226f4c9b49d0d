#!/usr/bin/env bash
# Checks the collection in packaging/ansible without any host: ansible-lint, its documentation, unit tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
project=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# A collection is found by the names of its directories.
mkdir -p "$dir/ansible_collections/vmferry"
cp -r packaging/ansible "$dir/ansible_collections/vmferry/vmferry"
export ANSIBLE_COLLECTIONS_PATH=$dir ANSIBLE_HOME=$dir/home ANSIBLE_LOCAL_TEMP=$dir/tmp
cd "$dir/ansible_collections/vmferry/vmferry"
ansible-lint --offline --strict --profile production
ansible-doc --type module vmferry.vmferry.vmferry_migrate >/dev/null
PYTHONPATH=$dir PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory tests/unit
ansible-galaxy collection build --output-path "$dir" >/dev/null
version=$(sed -n 's/^version: //p' galaxy.yml)
grep -q "\"version\": \"$version\"" "$project/deno.json" || {
	echo "packaging/ansible/galaxy.yml has version $version, expected that of deno.json" >&2
	exit 1
}
