import type {
  Empty,
  MirrorTarget,
  RawBlock,
  RawBlockJob,
  RawBlockStats,
  RawGraph,
  RawJob,
  RawMigration,
  RawNode,
  RawSchemaEntity,
  RawTarget,
  ReadOnlyNode,
} from "./answers.ts";

/**
 * The QMP commands that are used: name -> arguments and answer, with the members that are used.
 * Source: QEMU's QMP reference (qapi/*.json). Sizes in bytes unless QEMU says otherwise.
 *
 * vmferry needs QEMU 6.2, which has every command whose comment says nothing else.
 */
export interface Commands {
  /** Since QEMU 0.14. */
  "query-version": {
    args: Empty;
    answer: {
      readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
      readonly package: string;
    };
  };
  /** Since QEMU 0.14. */
  "query-commands": { args: Empty; answer: readonly { readonly name: string }[] };
  /** Since QEMU 2.5; some 200 KiB. The members that describe a command's arguments and an enumeration. */
  "query-qmp-schema": { args: Empty; answer: readonly RawSchemaEntity[] };
  /** Since QEMU 0.14. */
  "query-status": { args: Empty; answer: { readonly status: string; readonly running: boolean } };
  /** Since QEMU 0.14. All zeros for a guest without one. */
  "query-uuid": { args: Empty; answer: { readonly UUID: string } };
  /** Since QEMU 0.14. */
  "query-name": { args: Empty; answer: { readonly name?: string } };
  /** Since QEMU 0.14. Without an answer the accelerator counts as TCG. */
  "query-kvm": { args: Empty; answer: { readonly enabled: boolean } };
  /** Since QEMU 2.12. */
  "query-cpus-fast": { args: Empty; answer: readonly unknown[] };
  /**
   * Since QEMU 2.7, for machines whose CPUs can be listed (x86, s390x, pseries, arm and riscv virt).
   * For other machines the number of possible vCPUs is not compared.
   */
  "query-hotpluggable-cpus": {
    args: Empty;
    answer: readonly {
      readonly "vcpus-count": number;
      readonly type: string;
      readonly "qom-path"?: string;
      /** What device_add takes, such as `socket-id`. */
      readonly props: Readonly<Record<string, number>>;
    }[];
  };
  /** Since QEMU 2.1: DIMMs and other memory devices. A machine that refuses it counts as without. */
  "query-memory-devices": {
    args: Empty;
    answer: readonly {
      readonly type: string;
      readonly data: { readonly id?: string; readonly size: number };
    }[];
  };
  /** Since QEMU 1.5, in builds with TPM support. Without it the guest counts as without a TPM. */
  "query-tpm": { args: Empty; answer: readonly { readonly model: string }[] };
  /** Since QEMU 2.11. */
  "query-memory-size-summary": {
    args: Empty;
    answer: { readonly "base-memory": number; readonly "plugged-memory"?: number };
  };
  /** Since QEMU 1.2. */
  "qom-list": {
    args: { path: string };
    answer: readonly { readonly name: string; readonly type: string }[];
  };
  /** Since QEMU 1.2. */
  "qom-get": { args: { path: string; property: string }; answer: unknown };
  /** Since QEMU 1.2; `default-value` since 5.0. */
  "device-list-properties": {
    args: { typename: string };
    answer: readonly {
      readonly name: string;
      readonly type: string;
      readonly "default-value"?: unknown;
    }[];
  };
  /** Since QEMU 0.14. `filename` is QEMU's text, such as `unix:/run/a.sock,server=on`. */
  "query-chardev": {
    args: Empty;
    answer: readonly { readonly label: string; readonly filename: string }[];
  };
  /** Since QEMU 0.14. */
  "query-block": { args: Empty; answer: readonly RawBlock[] };
  /** Since QEMU 2.0; `flat` since 5.0. */
  "query-named-block-nodes": { args: { flat: true }; answer: readonly RawNode[] };
  /**
   * Since QEMU 4.0, unstable by its name. Without it only a disk's own node is known, and its backing
   * files are not compared.
   */
  "x-debug-query-block-graph": { args: Empty; answer: RawGraph };
  /** Since QEMU 2.0. */
  "query-iothreads": { args: Empty; answer: readonly unknown[] };
  /** Since QEMU 0.14; `query-nodes` since 2.3. */
  "query-blockstats": { args: { "query-nodes"?: true }; answer: readonly RawBlockStats[] };
  /** Since QEMU 5.2. */
  "query-block-exports": {
    args: Empty;
    /** `type`: `nbd`, `fuse`, `vhost-user-blk`, `vduse-blk`. */
    answer: readonly { readonly id: string; readonly type?: string }[];
  };
  /** Since QEMU 3.0. */
  "query-jobs": { args: Empty; answer: readonly RawJob[] };
  /** Since QEMU 1.1. */
  "query-block-jobs": { args: Empty; answer: readonly RawBlockJob[] };
  /** Since QEMU 0.14. */
  "query-migrate": { args: Empty; answer: RawMigration };
  /** Since QEMU 5.2. `calc-time` in seconds, `sample-pages` of each GiB. */
  "calc-dirty-rate": { args: { "calc-time": number; "sample-pages": number }; answer: Empty };
  /** Since QEMU 5.2. MiB a second, once `status` is `measured`. */
  "query-dirty-rate": {
    args: Empty;
    answer: { readonly status: string; readonly "dirty-rate"?: number };
  };
  /** Since QEMU 1.2. */
  "query-migrate-capabilities": {
    args: Empty;
    answer: readonly { readonly capability: string; readonly state: boolean }[];
  };
  /** Since QEMU 1.2. Capabilities that a QEMU does not list are not set. */
  "migrate-set-capabilities": {
    args: { capabilities: readonly { capability: string; state: boolean }[] };
    answer: Empty;
  };
  /** Since QEMU 2.4. */
  "query-migrate-parameters": { args: Empty; answer: Readonly<Record<string, unknown>> };
  /** Since QEMU 2.4. Parameters that a QEMU does not list are not set. */
  "migrate-set-parameters": { args: Readonly<Record<string, unknown>>; answer: Empty };
  /** Since QEMU 0.14; `resume`, for a post-copy that is paused, since 2.12. */
  "migrate": { args: { uri: string; resume?: boolean }; answer: Empty };
  /** Since QEMU 3.0, also out of band: closes the stream of a migration in post-copy. */
  "migrate-pause": { args: Empty; answer: Empty };
  /** Since QEMU 3.0, out of band: the destination's part of resuming a post-copy. */
  "migrate-recover": { args: { uri: string }; answer: Empty };
  /** Since QEMU 2.5. */
  "migrate-start-postcopy": { args: Empty; answer: Empty };
  /** Since QEMU 2.3; `exit-on-error` since 9.1: before, QEMU ends when the stream breaks. */
  "migrate-incoming": { args: { uri: string; "exit-on-error"?: boolean }; answer: Empty };
  /** Since QEMU 2.11. */
  "migrate-continue": { args: { state: "pre-switchover" }; answer: Empty };
  /** Since QEMU 0.14. */
  "migrate_cancel": { args: Empty; answer: Empty };
  /**
   * Since QEMU 1.3; `max-connections` since 5.2. `abstract` (Linux): not in the file system; since
   * 5.1.
   */
  "nbd-server-start": {
    args: {
      addr: { type: "unix"; data: { path: string; abstract?: boolean } };
      "max-connections"?: number;
    };
    answer: Empty;
  };
  /** Since QEMU 1.3. */
  "nbd-server-stop": { args: Empty; answer: Empty };
  /** Since QEMU 5.2. */
  "block-export-add": {
    args: {
      type: "nbd";
      id: string;
      "node-name": string;
      name: string;
      writable: boolean;
      "allocation-depth"?: boolean;
    };
    answer: Empty;
  };
  /** Since QEMU 5.2. */
  "block-export-del": { args: { id: string; mode: "safe" | "hard" }; answer: Empty };
  /** Since QEMU 2.9. */
  "blockdev-add": { args: MirrorTarget | RawTarget | ReadOnlyNode; answer: Empty };
  /** Since QEMU 2.9. */
  "blockdev-del": { args: { "node-name": string }; answer: Empty };
  /** Since QEMU 2.6; `copy-mode` since 3.0, `auto-dismiss` since 3.1. `speed` in bytes a second. */
  "blockdev-mirror": {
    args: {
      "job-id": string;
      device: string;
      target: string;
      sync: "full" | "top";
      "copy-mode": "background" | "write-blocking";
      "on-source-error": "report";
      "on-target-error": "report" | "stop";
      "auto-dismiss": false;
      "buf-size"?: number;
      speed?: number;
    };
    answer: Empty;
  };
  /** Since QEMU 1.1. `force: false` completes a ready mirror and leaves the disk at the source. */
  "block-job-cancel": { args: { device: string; force?: boolean }; answer: Empty };
  /**
   * Since QEMU 8.2. Without it a guest that writes faster than its mirror copies can only be slowed
   * down by pauses.
   */
  "block-job-change": {
    args: { id: string; type: "mirror"; "copy-mode": "write-blocking" };
    answer: Empty;
  };
  /** Since QEMU 0.14. */
  "human-monitor-command": { args: { "command-line": string }; answer: string };
  /** Since QEMU 3.0. */
  "job-resume": { args: { id: string }; answer: Empty };
  /** Since QEMU 3.0. */
  "job-dismiss": { args: { id: string }; answer: Empty };
  /** Since QEMU 0.14: pauses the guest. */
  "stop": { args: Empty; answer: Empty };
  /** Since QEMU 0.14: resumes the guest. */
  "cont": { args: Empty; answer: Empty };
  /** Since QEMU 4.0. Times in ms. Without it the guest is not announced; switches learn by traffic. */
  "announce-self": {
    args: { initial: number; max: number; rounds: number; step: number };
    answer: Empty;
  };
  /** Since QEMU 0.14: ends QEMU. */
  "quit": { args: Empty; answer: Empty };
}
