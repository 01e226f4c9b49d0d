import type { LaunchImage } from "../../../rpc/mod.ts";

/** The command that creates an image. Pure. */
export function imageCommand(image: LaunchImage): string[] {
  const { path, format, sizeBytes, backing } = image;
  const options = optionsOf(image);
  return [
    ...["qemu-img", "create", "-q", "-f", format],
    ...(options.length > 0 ? ["-o", options.join(",")] : []),
    ...(backing ? ["-b", backing.path, "-F", backing.format] : []),
    ...["--", path, `${sizeBytes}`],
  ];
}

function optionsOf(image: LaunchImage): string[] {
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
