import { messageOf } from "../../io/mod.ts";
import type { Domain } from "../../libvirt/mod.ts";
import { fileKeys, type StorageKeys } from "../../migrate/mod.ts";
import type { DomainImage, DomainImageFacts } from "../../rpc/mod.ts";
import { attempt } from "./attempt.ts";
import type { DiskRoles } from "./disk_choice.ts";
import { type FileUse, judgeSharing, type NeededFile } from "./file_rules.ts";
import type { Collected } from "./findings.ts";
import type { CopiedDisk, SourceImage } from "./image_rules.ts";
import type { CheckDomainOptions } from "./options.ts";
import { type PlaceAccess, type PlacedDisk, placeDisks } from "./places.ts";
import { sampleFile } from "./sampling.ts";
import { sourceImage } from "./source_images.ts";

/** How long the look at a file system may take, ms: one over the network may not answer. */
const STAT_MS = 10_000;

/** The images of a domain at both ends. */
export interface ImageFacts {
  readonly copied: readonly CopiedDisk[];
  readonly needed: readonly NeededFile[];
}

/** A copied disk before the destination has answered. */
interface Written {
  readonly placed: PlacedDisk;
  readonly image: SourceImage;
  readonly keys: StorageKeys;
}

/** A file that must be at the destination, before it has answered. */
interface Wanted extends Omit<NeededFile, "there"> {
  readonly asked: DomainImage;
}

/** Looks at the images and files of the domain at both ends. */
export async function imageFacts(
  domain: Domain,
  roles: DiskRoles,
  options: CheckDomainOptions & PlaceAccess & { readonly daemon: string | null },
  found: Collected,
): Promise<ImageFacts> {
  const place = (disks: DiskRoles["copied"]) => placeDisks(disks, options, found);
  const [copied, shared, media] = await Promise.all([
    place(roles.copied),
    place(roles.shared),
    place(roles.readOnly),
  ]);
  const written = (await Promise.all(copied.map((disk) => look(disk)))).flatMap((w) => w ?? []);
  const wanted = await Promise.all([
    ...shared.map((disk) => sharedDisk(disk)),
    ...media.map((disk) => file("medium", disk.here.target, disk.path, disk.pathThere, disk)),
    ...osFiles(),
    ...backingFiles(written),
  ]);
  const images = [...written.map(asked), ...wanted.map((w) => w.asked)];
  const answer = images.length === 0 ? { images: [] } : await attempt(
    options.peer.describeImages({ uuid: domain.uuid, images }, options.signal),
    "destination",
    found,
  );
  if (!answer) return { copied: [], needed: [] };
  const factsOf = (i: number): DomainImageFacts => answer.images[i]!;
  return {
    copied: written.map(({ placed, image, keys }, i) => ({
      ...{ name: placed.here.target, path: placed.pathThere, image, here: keys },
      ...{ type: placed.there.type, format: placed.there.format, there: factsOf(i) },
    })),
    needed: wanted.map(({ asked: _, ...rest }, i) => ({
      ...rest,
      there: factsOf(written.length + i),
    })),
  };

  async function look(placed: PlacedDisk): Promise<Written | undefined> {
    const [image, host] = await Promise.all([
      attempt(sourceImage(domain.uuid, placed.here, placed.path, options), "source", found),
      options.describeHost([placed.path]),
    ]);
    const [facts] = host.files;
    const keys = facts ? fileKeys(facts, host.bootId) : { keys: [], beneath: [] };
    return image && { placed, image, keys };
  }

  async function sharedDisk(disk: PlacedDisk): Promise<Wanted> {
    const image = await attempt(
      sourceImage(domain.uuid, disk.here, disk.path, options),
      "source",
      found,
    );
    const { target: name } = disk.here;
    const fileSystem = await fileSystemOf(disk.path);
    const unsafe = options.migrate.pass.includes("--unsafe");
    const { daemon } = options;
    found.add(judgeSharing({ name, path: disk.path, fileSystem, daemon, unsafe }));
    return wantedFile("shared", name, disk.pathThere, {
      ...{ format: disk.there.format, sizeBytes: image?.sizeBytes ?? null },
      ...{ sample: null, optional: false },
    });
  }

  /** The type of a file's file system as coreutils names it; `null` for a device, or where unknown. */
  async function fileSystemOf(path: string): Promise<string | null> {
    const script = '[ -f "$1" ] && stat -f -c %T -- "$1"';
    const { code, stdout } = await options.run(["sh", "-c", script, "sh", path], {
      timeoutMs: STAT_MS,
    });
    return code === 0 ? stdout.trim() : null;
  }

  async function file(
    use: FileUse,
    name: string,
    path: string,
    pathThere: string,
    disk?: PlacedDisk,
  ): Promise<Wanted> {
    const policy = disk?.there.startupPolicy;
    const optional = policy === "optional" || policy === "requisite";
    const format = disk?.there.format ?? "raw";
    try {
      const sampled = await sampleFile(path, options.files, options.random ?? Math.random);
      return wantedFile(use, name, pathThere, { format, optional, ...sampled });
    } catch (error) {
      found.warnings.push(
        `${path} of the source cannot be read and was not compared with the destination's ` +
          `(${messageOf(error)})`,
      );
      return wantedFile(use, name, pathThere, { format, optional, sizeBytes: null, sample: null });
    }
  }

  function osFiles(): Promise<Wanted>[] {
    return options.there.osFiles.map(({ what, path }) => {
      const here = domain.osFiles.find((own) => own.what === what)?.path ?? path;
      return file(what === "loader" ? "firmware" : "boot", what, here, path);
    });
  }

  function backingFiles(disks: readonly Written[]): Promise<Wanted>[] {
    if (options.migrate.copy !== "inc") return [];
    return disks.flatMap(({ placed, image }) => {
      if (!image.backing) return [];
      const { path } = image.backing;
      return [file("backing", placed.here.target, path, path)];
    });
  }
}

function wantedFile(
  use: FileUse,
  name: string,
  path: string,
  { optional, format, sizeBytes, sample }:
    & Pick<DomainImage, "format" | "sizeBytes" | "sample">
    & { readonly optional: boolean },
): Wanted {
  const asked = { name, path, role: "read-only" as const, format, sizeBytes, sample };
  return { name, use, path, sizeBytes, optional, asked };
}

function asked({ placed, image }: Written): DomainImage {
  return {
    ...{ name: placed.here.target, path: placed.pathThere, role: "disk", sample: null },
    ...{ format: placed.there.format, sizeBytes: image.sizeBytes },
  };
}
