/** Command lines as programs and people write them. */
export interface Sample {
  readonly name: string;
  readonly argv: readonly string[];
}

/** Splits at spaces; `~` stands for a space in an argument. */
const words = (text: string): string[] =>
  text.trim().split(/\s+/).map((word) => word.replaceAll("~", " "));

/** libvirt 11, shortened. */
export const LIBVIRT: readonly string[] = words(`
  /usr/bin/qemu-system-x86_64 -name guest=vm1,debug-threads=on -S
  -object {"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1-vm1/master-key.aes"}
  -machine pc-q35-10.0,usb=off,dump-guest-core=off,memory-backend=pc.ram,hpet=off,acpi=on
  -accel kvm -cpu host,migratable=on -m size=2097152k
  -object {"qom-type":"memory-backend-ram","id":"pc.ram","size":2147483648}
  -overcommit mem-lock=off -smp 2,sockets=2,cores=1,threads=1
  -uuid 7e0c5a8e-7d3e-4f8c-9a3f-0d2a4a0f6b11 -no-user-config -nodefaults
  -chardev socket,id=charmonitor,fd=30,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control
  -rtc base=utc,driftfix=slew -global kvm-pit.lost_tick_policy=delay -no-shutdown
  -global ICH9-LPC.disable_s3=1 -boot strict=on
  -device {"driver":"pcie-root-port","port":16,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x2"}
  -blockdev {"driver":"file","filename":"/var/lib/libvirt/images/vm1.qcow2","node-name":"libvirt-1-storage","auto-read-only":true,"discard":"unmap"}
  -blockdev {"node-name":"libvirt-1-format","read-only":false,"discard":"unmap","driver":"qcow2","file":"libvirt-1-storage"}
  -device {"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1}
  -netdev {"type":"tap","fd":"31","vhost":true,"vhostfd":"33","id":"hostnet0"}
  -device {"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:aa:bb:cc","bus":"pci.2","addr":"0x0"}
  -chardev pty,id=charserial0 -device {"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}
  -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
  -msg timestamp=on
`);

/** Proxmox VE 8, \`qm showcmd\`. */
export const PROXMOX: readonly string[] = words(`
  /usr/bin/kvm -id 100 -name vm1,debug-threads=on -no-shutdown
  -chardev socket,id=qmp,path=/var/run/qemu-server/100.qmp,server=on,wait=off -mon chardev=qmp,mode=control
  -chardev socket,id=qmp-event,path=/var/run/qmeventd.sock,reconnect=5 -mon chardev=qmp-event,mode=control
  -pidfile /var/run/qemu-server/100.pid -daemonize
  -smbios type=1,uuid=6bf2a4f8-7d44-4ae0-9f1a-7e1f32f1d0aa
  -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/pve-edk2-firmware//OVMF_CODE_4M.secboot.fd
  -drive if=pflash,unit=1,id=drive-efidisk0,format=qcow2,file=/var/lib/vz/images/100/vm-100-disk-0.qcow2
  -smp 2,sockets=1,cores=2,maxcpus=2 -nodefaults
  -boot menu=on,strict=on,reboot-timeout=1000,splash=/usr/share/qemu-server/bootsplash.jpg
  -vnc unix:/var/run/qemu-server/100.vnc,password=on -cpu qemu64,+aes,enforce,+kvm_pv_eoi,+kvm_pv_unhalt -m 2048
  -device pci-bridge,id=pci.1,chassis_nr=1,bus=pci.0,addr=0x1e
  -device qemu-xhci,p2=15,p3=15,id=xhci,bus=pci.1,addr=0x1b -device VGA,id=vga,bus=pci.0,addr=0x2
  -device virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3,free-page-reporting=on
  -iscsi initiator-name=iqn.1993-08.org.debian:01:4bd5d7d5e7a7
  -device virtio-scsi-pci,id=scsihw0,bus=pci.0,addr=0x5
  -drive file=/var/lib/vz/images/100/vm-100-disk-1.qcow2,if=none,id=drive-scsi0,format=qcow2,cache=none,aio=io_uring,detect-zeroes=on
  -device scsi-hd,bus=scsihw0.0,channel=0,scsi-id=0,lun=0,drive=drive-scsi0,id=scsi0,bootindex=100
  -netdev type=tap,id=net0,ifname=tap100i0,script=/var/lib/qemu-server/pve-bridge,downscript=/var/lib/qemu-server/pve-bridgedown,vhost=on
  -device virtio-net-pci,mac=BC:24:11:6D:3C:1E,netdev=net0,bus=pci.0,addr=0x12,id=net0,bootindex=102
  -machine type=q35+pve0
`);

/** quickemu 4, shortened. */
export const QUICKEMU: readonly string[] = words(`
  qemu-system-x86_64 -name ubuntu,process=ubuntu -machine q35,smm=off,vmport=off,accel=kvm
  -global kvm-pit.lost_tick_policy=discard -cpu host -smp cores=4,threads=1,sockets=1 -m 8G
  -device virtio-balloon -rtc base=utc,clock=host -vga none
  -device virtio-vga,xres=1280,yres=800 -display sdl,gl=off -device virtio-rng-pci,rng=rng0
  -object rng-random,id=rng0,filename=/dev/urandom -device qemu-xhci,id=spicepass
  -chardev spicevmc,id=usbredirchardev1,name=usbredir
  -device usb-redir,chardev=usbredirchardev1,id=usbredirdev1
  -device pci-ohci,id=smartpass -device usb-ccid -chardev spicevmc,id=ccid,name=smartcard
  -device ccid-card-passthru,chardev=ccid -device usb-kbd,bus=usb.0 -k en-us
  -audiodev pa,id=audio0,out.name=qemu,server=/run/user/1000/pulse/native -device intel-hda
  -device hda-micro,audiodev=audio0 -device virtio-net,netdev=nic
  -netdev user,hostname=ubuntu,hostfwd=tcp::22220-:22,id=nic,smb=/home/me/Public
  -global driver=cfi.pflash01,property=secure,value=on
  -drive if=pflash,format=raw,unit=0,file=/usr/share/OVMF/OVMF_CODE_4M.fd,readonly=on
  -drive if=pflash,format=raw,unit=1,file=ubuntu/OVMF_VARS.fd
  -drive media=cdrom,index=0,file=ubuntu/ubuntu~24.04.iso
  -device virtio-blk-pci,drive=SystemDisk -drive id=SystemDisk,if=none,format=qcow2,file=ubuntu/disk.qcow2
  -pidfile ubuntu/ubuntu.pid -monitor unix:ubuntu/ubuntu-monitor.socket,server,nowait
  -serial unix:ubuntu/ubuntu-serial.socket,server,nowait
`);

/** Written by hand in a terminal. */
export const BY_HAND: readonly string[] = words(`
  qemu-system-x86_64 --enable-kvm -M pc -m 1024 -smp 2 -hda /srv/vm~1/disk.img -cdrom /srv/a,b.iso
  -net nic,model=virtio -net user,hostfwd=tcp::2222-:22 -nographic -usbdevice tablet
  -qmp unix:/run/vm1.qmp,server,nowait -boot d -kernel /boot/vmlinuz -append root=/dev/vda~console=ttyS0
  -snapshot
`);

export const SAMPLES: readonly Sample[] = [
  { name: "libvirt", argv: LIBVIRT },
  { name: "Proxmox VE", argv: PROXMOX },
  { name: "quickemu", argv: QUICKEMU },
  { name: "a user", argv: BY_HAND },
];
