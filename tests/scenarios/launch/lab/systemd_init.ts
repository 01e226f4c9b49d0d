/**
 * The first process of a host on which systemd runs, for bash. Arguments: hostname, the host's directory
 * on the machine, and the directories of the machine that the host sees.
 *
 * systemd gets namespaces of its own below this process, and is booted again when it has ended: a reboot.
 * Nothing that it writes reaches the machine: its root is an overlay, and /var, /root, /home, /usr/local,
 * /run, /tmp and /dev are the host's own. /run and /tmp are empty after each boot. Only journald and the units
 * that a scenario enables start at boot. The script ends when its standard input does.
 */
export const SYSTEMD_INIT = `
set -eu
name=$1 dir=$2
hostname "$name"
ip link set lo up
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
cd /mnt/root
for own in var root home local; do
  mkdir -p "$dir/$own"
done
mkdir -p "$dir/var/lib" "$dir/var/log" "$dir/var/cache" "$dir/var/tmp" "$dir/local/bin"
ln -s /run "$dir/var/run"
chmod 0700 "$dir/root"
mount --bind "$dir/var" var
mount --bind "$dir/root" root
mount --bind "$dir/home" home
mount --bind "$dir/local" usr/local
echo "$name" >etc/hostname
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
: >etc/fstab
rm -rf etc/systemd/system/* etc/rc?.d/*
for wanted in lib/systemd/system/*.target.wants/*; do
  unit=\${wanted##*/}
  case $unit in
    systemd-journald.service | systemd-journald.socket) ;;
    *) ln -sfn /dev/null "etc/systemd/system/$unit" ;;
  esac
done
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
group=$(mktemp -d "$group/vmferry-XXXXXX")

in_namespaces='
set -eu
shift 2
mount --make-rprivate /
cd /mnt/root
mount -t tmpfs -o mode=755 none dev
for node in null zero full random urandom tty kvm fuse vhost-net; do
  [ ! -e "/dev/$node" ] || cp -a "/dev/$node" dev/
done
mkdir dev/pts dev/shm dev/net
[ ! -e /dev/net/tun ] || cp -a /dev/net/tun dev/net/
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 none dev/pts
mount -t tmpfs none dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${stream%:*}" "dev/\${stream#*:}"; done
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
for path; do
  mkdir -p ".$path"
  mount --rbind "$path" ".$path"
done
pivot_root . mnt
cd /
umount -l /mnt
for own in /tmp /run /dev; do [ "$(stat -f -c %T "$own")" = tmpfs ] || exit 1; done
exec env -i container=vmferry-test PATH="$PATH" /lib/systemd/systemd --log-level=notice \\
  --log-target=journal --show-status=no --unit=multi-user.target
'
boot() {
  # A cgroup of its own: systemd moves every process that it finds in its root.
  own=$(mktemp -d "$group/boot-XXXXXX")
  exec unshare --pid --mount --uts --ipc --fork --kill-child bash -euc '
    echo $$ >"$1/cgroup.procs"
    in_namespaces=$2
    shift 2
    exec unshare --cgroup bash -c "$in_namespaces" boot "$@"
  ' boot "$own" "$in_namespaces" "$@" </dev/null >/dev/null
}
end() {
  kill -KILL $(jobs -p) 2>/dev/null || :
  wait
  # Its processes take a moment to end.
  for _ in {1..100}; do
    find "$group" -depth -type d -exec rmdir {} \\; 2>/dev/null || :
    [ -d "$group" ] || break
    sleep 0.05
  done
}
trap end EXIT
exec 3<&0
cat <&3 >/dev/null &
input=$!
echo ready
while :; do
  boot "$@" &
  wait -n || :
  kill -0 "$input" 2>/dev/null || exit 0
done
`;
