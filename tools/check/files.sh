#!/bin/sh
# files.sh [SUFFIX...]: the project's files, one a line; with suffixes such as .sh only those. Git knows
# them; where the sources have no repository, they are all files but what was built or fetched.
set -eu
cd "$(dirname "$0")/../.."
if [ -e .git ]; then
  git ls-files
else
  find . -type f -not -path './dist/*' -not -path './.tools/*' | sed 's|^\./||' | LC_ALL=C sort
fi | if [ $# -eq 0 ]; then
  cat
else
  grep -E "($(echo "$*" | sed -e 's/\./\\./g' -e 's/ /|/g'))\$"
fi
