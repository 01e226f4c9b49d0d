#!/bin/sh
# check_text.sh: spelling (codespell) of all files, and shellcheck of the scripts.
# tools/spelling.txt has the words that codespell does not know.
set -eu
cd "$(dirname "$0")/.."
git ls-files | grep -vE '^(deno\.lock|tools/spelling\.txt)$' | xargs codespell --ignore-words tools/spelling.txt
git ls-files '*.sh' .ci/run | xargs shellcheck
