/**
 * The first process of a host's PID namespace, for bash. Arguments: hostname, the host's directory on
 * the machine, and the directories of the machine that the host sees in its own /tmp and /root.
 *
 * /run, /var, /root, /tmp and /usr/local are the host's own, and empty but for what every host has. It
 * ends when its standard input does, so that nothing outlives the scenario's process, and it reaps.
 */
export const HOST_INIT = `
set -eu
name=$1 dir=$2
shift 2
hostname "$name"
mount --make-rprivate /
kept=0
for path; do
  kept=$((kept + 1))
  mkdir "$dir/kept-$kept"
  mount --rbind "$path" "$dir/kept-$kept"
done
mount -t tmpfs none /mnt
mkdir /mnt/dir
mount --rbind "$dir" /mnt/dir
mkdir -p "$dir/var/lib" "$dir/var/log" "$dir/var/cache" "$dir/var/tmp" "$dir/local/bin"
mount --bind "$dir/var" /var
mount --bind "$dir/local" /usr/local
for own in /run:755 /root:700 /tmp:1777; do
  mount -t tmpfs -o "mode=\${own#*:}" none "\${own%:*}"
done
mkdir -p /run/lock
ln -s /run /var/run
kept=0
for path; do
  kept=$((kept + 1))
  case $path in /tmp/* | /root/*)
    mkdir -p "$path"
    mount --rbind "/mnt/dir/kept-$kept" "$path"
  esac
done
umount -l /mnt
ip link set lo up
echo ready
exec 3<&0
cat <&3 >/dev/null &
wait $!
`;
