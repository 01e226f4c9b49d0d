#!/bin/sh
# text.sh: spelling (codespell) of all files, and shellcheck of the scripts.
# tools/check/spelling.txt has the words that codespell does not know.
set -eu
cd "$(dirname "$0")/../.."
# In an air-gapped kit (tools/package/kit.sh) nothing can be installed that is missing.
can_run() {
  [ ! -e .tools/kit ] || command -v "$1" >/dev/null ||
    { echo "text.sh: not checked, as there is no $1 here: $2" >&2 && return 1; }
}
if can_run codespell spelling; then
  tools/check/files.sh | grep -vE '^(deno\.lock|tools/check/spelling\.txt)$' |
    xargs codespell --ignore-words tools/check/spelling.txt
fi
if can_run shellcheck scripts; then
  { tools/check/files.sh .sh && echo .ci/run; } | xargs shellcheck
fi
