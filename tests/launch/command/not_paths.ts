/**
 * Keys of QMP's netdev_add, object-add and blockdev-add that are strings and no paths: a last name for
 * every type, or a command or type with its key.
 */
const NAMES = `
    addr address backing bootfile bottom br canbus chardev cid connect cookie cookie-secret
    data data-file device devid devname dhcpstart dns dns-forward dns-host domainname dst
    dstport export fd fds fqdn gateway group guest-visible-workarounds hash header height host
    host-data hostname id id-auth id-block id-list identity if ifname indev initiator-name
    interface iothread ip ipv6-dns ipv6-host ipv6-prefix iv key-secret keyid label listen
    localaddr mac macaddr map-guest-addr map-host-loopback match mcast model mrconfigid mrowner
    mrownerconfig name namespace net netdev netmask node node-name notify_dev outbound
    outbound-if4 outbound-if6 outdev password-secret passwordid pci-bus pci-dev pool port
    portal position pr-manager prealloc-context primary_in priority proxy-password-secret
    proxy-username raw secondary_in server service smbserver snapshot src srcport status str
    target test tftp-server-name throttle-group tls-creds tls-hostname top-id udp url user
    username vhostfd vhostfds volume width x-dirty-bitmap x-origin y-origin
`;
const KEYS = [
  "blockdev-add file",
  "blkdebug image",
  "blkreplay image",
  "rbd image",
  "blklogwrites log",
  "gluster path",
  "nfs path",
  "ssh path",
  "virtio-blk-vfio-pci path",
  "quorum children.N",
];

export const NOT_PATHS: ReadonlySet<string> = new Set([...NAMES.trim().split(/\s+/), ...KEYS]);
