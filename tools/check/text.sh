#!/bin/sh
# text.sh: spelling (codespell) of all files, and shellcheck of the scripts.
# tools/check/spelling.txt has the words that codespell does not know.
set -eu
cd "$(dirname "$0")/../.."
git ls-files | grep -vE '^(deno\.lock|tools/check/spelling\.txt)$' | xargs codespell --ignore-words tools/check/spelling.txt
git ls-files '*.sh' .ci/run | xargs shellcheck
