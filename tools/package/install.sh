#!/bin/sh
# install.sh install|uninstall: `make install` and `make uninstall`.
#
# PREFIX (default /usr/local) is where the files are used; DESTDIR, empty by default, is put before every
# path, for packages. Needs what `make build` wrote to dist, and nothing else but a shell.
set -eu
cd "$(dirname "$0")/../.."
. tools/lib.sh
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
# PROGRAM names another file than dist/vmferry, such as one for another architecture.
# Where Debian's packages have completions for zsh; zsh of /usr/local looks in site-functions.
ZSHDIR=${ZSHDIR:-$PREFIX/share/zsh/site-functions}
case $PREFIX in
/*) ;;
*) fail "PREFIX is \"$PREFIX\", expected a path from the root" ;;
esac

# Every file: its mode, its source, its path under PREFIX or from the root.
files() {
  echo "755 ${PROGRAM:-dist/vmferry} $PREFIX/bin/vmferry"
  for page in dist/share/man/man1/*.1; do
    echo "644 $page $PREFIX/share/man/man1/${page##*/}"
  done
  echo "644 dist/share/bash-completion/completions/vmferry $PREFIX/share/bash-completion/completions/vmferry"
  echo "644 dist/share/zsh/site-functions/_vmferry $ZSHDIR/_vmferry"
  echo "644 dist/share/fish/vendor_completions.d/vmferry.fish $PREFIX/share/fish/vendor_completions.d/vmferry.fish"
  for unit in packaging/systemd/*.service; do
    echo "644 $unit $PREFIX/lib/systemd/system/${unit##*/}"
  done
  doc=$PREFIX/share/doc/vmferry
  for text in README.md CHANGELOG.md SECURITY.md LICENSE; do
    echo "644 $text $doc/$text"
  done
  find docs -name '*.md' | sort | while read -r page; do echo "644 $page $doc/$page"; done
  for example in packaging/examples/*.conf; do
    echo "644 $example $doc/examples/${example##*/}"
  done
}

install_all() {
  if [ ! -x "${PROGRAM:-dist/vmferry}" ] || [ ! -d dist/share/man ]; then
    fail "there is no dist/vmferry with its pages yet: run 'make build'"
  fi
  files | while read -r mode from to; do
    install -D -m "$mode" "$from" "$DESTDIR$to"
    case $to in
    *.service) sed -i "s|@BINDIR@|$PREFIX/bin|" "$DESTDIR$to" ;;
    esac
  done
  # For the configuration of the units.
  install -d -m 755 "$DESTDIR/etc/vmferry"
}

# Removes what install puts there, also the pages of a build that is gone, and directories of its own.
uninstall_all() {
  files | while read -r _ _ to; do rm -f "$DESTDIR$to"; done
  rm -f "$DESTDIR$PREFIX"/share/man/man1/vmferry.1 "$DESTDIR$PREFIX"/share/man/man1/vmferry-*.1
  rm -rf "$DESTDIR$PREFIX/share/doc/vmferry"
  # A configuration that somebody has made stays.
  rmdir "$DESTDIR/etc/vmferry" 2>/dev/null || :
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) fail "usage: install.sh install|uninstall" ;;
esac
