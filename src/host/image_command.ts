/** An image that is to be created. Sizes in bytes. */
export interface NewImage {
  /** Where it is created. */
  readonly path: string;
  /** Such as `qcow2`. */
  readonly format: string;
  /** Virtual size. */
  readonly sizeBytes: number;
  /** qcow2 only; `null`: the default of qemu-img. */
  readonly clusterBytes: number | null;
  /** Version of qcow2; `null`: the default of qemu-img. */
  readonly compat: string | null;
  /** qcow2 with subclusters. */
  readonly extendedL2: boolean;
  /** qcow2 that writes its reference counts late. */
  readonly lazyRefcounts: boolean;
  /** A raw file is allocated as a whole. */
  readonly allocated: boolean;
  /** The image below it. */
  readonly backing: { readonly path: string; readonly format: string } | null;
  /** Permission bits. */
  readonly mode: number;
}

/** The command that creates an image. Pure. */
export function imageCommand(image: NewImage): string[] {
  const { path, format, sizeBytes, backing } = image;
  const options = optionsOf(image);
  return [
    ...["qemu-img", "create", "-q", "-f", format],
    ...(options.length > 0 ? ["-o", options.join(",")] : []),
    ...(backing ? ["-b", backing.path, "-F", backing.format] : []),
    ...["--", path, `${sizeBytes}`],
  ];
}

function optionsOf(image: NewImage): string[] {
  if (image.format === "raw") return image.allocated ? ["preallocation=falloc"] : [];
  if (image.format !== "qcow2") return [];
  const { clusterBytes, compat, extendedL2, lazyRefcounts } = image;
  return [
    ...(clusterBytes === null ? [] : [`cluster_size=${clusterBytes}`]),
    ...(compat === null ? [] : [`compat=${compat.replaceAll(",", ",,")}`]),
    ...(extendedL2 ? ["extended_l2=on"] : []),
    ...(lazyRefcounts ? ["lazy_refcounts=on"] : []),
  ];
}
