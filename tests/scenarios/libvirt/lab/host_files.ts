/**
 * What a host of the lab starts with: its first process and libvirt's configuration.
 *
 * @module
 */

/** The project's directory, which every host sees. */
export const PROJECT: string = new URL("../../../../", import.meta.url).pathname.replace(/\/$/, "");

/**
 * The first process of a host's PID namespace, for bash. Arguments: hostname, the host's directory,
 * the root of an unpacked distribution or nothing, the project, the user's home.
 *
 * It ends when its standard input does, so that nothing outlives the scenario's process, and it
 * reaps: QEMUs that libvirtd starts to learn their capabilities become daemons, and libvirtd waits
 * 40 s for each that stays a zombie. QEMUs of other architectures are hidden, as each costs libvirtd
 * a probe. So is /dev/kvm: where QEMU's user may not open it, libvirt 9.0 takes its knowledge of a
 * QEMU for outdated and probes it at every use.
 */
export const HOST_INIT = `
set -eu
name=$1 dir=$2 root=$3 project=$4 home=$5
hostname "$name"
mount --make-rprivate /
mkdir "$dir/dev"
mount -t tmpfs -o mode=755 none "$dir/dev"
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$dir/dev/$node"; done
mkdir "$dir/dev/pts" "$dir/dev/shm" "$dir/dev/net"
mount -t devpts -o newinstance,ptmxmode=0666 none "$dir/dev/pts"
mount -t tmpfs -o mode=1777 none "$dir/dev/shm"
ln -s pts/ptmx "$dir/dev/ptmx"
ln -s /proc/self/fd "$dir/dev/fd"
for standard in 0:stdin 1:stdout 2:stderr; do
  ln -s "/proc/self/fd/\${standard%%:*}" "$dir/dev/\${standard#*:}"
done
[ ! -e /dev/net/tun ] || cp -a /dev/net/tun "$dir/dev/net/tun"
mount --rbind "$dir/dev" /dev
mount -t sysfs none /sys
if [ -n "$root" ]; then
  mount --bind "$root" "$root"
  for shared in /proc /dev /sys /tmp "$project" "$home"; do
    mkdir -p "$root$shared"
    mount --rbind "$shared" "$root$shared"
  done
  # Ids of users are the machine's, as the images are.
  for file in /etc/passwd /etc/group /etc/hosts; do mount --bind "$file" "$root$file"; done
  cd "$root"
  pivot_root . .
  umount -l .
  cd /
fi
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/lock /run/libvirt
for own in etc:/etc lib:/var/lib cache:/var/cache log:/var/log; do
  mkdir -p "\${own#*:}/libvirt"
  mount --bind "$dir/\${own%%:*}" "\${own#*:}/libvirt"
done
for other in /usr/bin/qemu-system-*; do
  [ "$(readlink -f "$other")" = "$(readlink -f /usr/bin/qemu-system-x86_64)" ] ||
    mount --bind /dev/null "$(readlink -f "$other")"
done
mkdir -p /var/lib/libvirt/images
chmod 711 /var/lib/libvirt/images
ip link set lo up
echo ready
exec 3<&0
cat <&3 >/dev/null &
wait $!
`;

/** libvirt refuses a migration between hosts of one UUID, and the machine's BIOS has only one. */
export function LIBVIRTD_CONF(uuid: string): string {
  return [
    `host_uuid = "${uuid}"`,
    'unix_sock_group = "libvirt"',
    'unix_sock_rw_perms = "0770"',
    'auth_unix_rw = "none"',
    'log_outputs = "3:stderr"',
    "",
  ].join("\n");
}

/** A test machine has no virtlogd, no cgroups to share out and no security module. */
export const QEMU_CONF: readonly string[] = [
  'stdio_handler = "file"',
  "cgroup_controllers = [ ]",
  'security_driver = "none"',
  "namespaces = [ ]",
];
