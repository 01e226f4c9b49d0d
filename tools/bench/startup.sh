#!/bin/sh
# startup.sh ARGS...: builds both kinds of the file and measures how they start.
set -eu
cd "$(dirname "$0")/../.."
pair=$(tools/denort.sh .tools/denort)
# shellcheck disable=SC2086 # a list of settings
env $pair VMFERRY_BUILD=compiled tools/deno.sh run -A tools/build.ts
mv dist/vmferry dist/vmferry-compiled
VMFERRY_BUILD=packed tools/deno.sh run -A tools/build.ts
tools/deno.sh run -A tools/bench/startup.ts "$@" dist/vmferry-compiled dist/vmferry
