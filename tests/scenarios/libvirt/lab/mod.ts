/**
 * Two hosts with a libvirt each, in namespaces, and a domain that counts on its disks.
 *
 * @module
 */
export * from "./channels.ts";
export * from "./domain.ts";
export * from "./domain_ferries.ts";
export * from "./host_state.ts";
export { LibvirtHost } from "./host.ts";
export { HostVmferry } from "../../support/host_vmferry.ts";
export type { Ran } from "../../support/lab_host.ts";
export { LibvirtLab } from "./lab.ts";
export { type LabSshd, startSshd } from "./lab_sshd.ts";
export * from "./postcopy.ts";
export * from "./trial.ts";
export { Witness } from "./witness.ts";
export { privateTmp } from "./private_tmp.ts";
