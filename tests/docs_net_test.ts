import { assert, assertEquals } from "@std/assert";

const PROJECT = new URL("../", import.meta.url);
const pages = [
  ...[...Deno.readDirSync(PROJECT)].map(({ name }) => name).filter((name) => name.endsWith(".md")),
  ...pagesIn("docs"),
];

function pagesIn(directory: string): string[] {
  return [...Deno.readDirSync(new URL(directory, PROJECT))].flatMap(({ name, isDirectory }) =>
    isDirectory ? pagesIn(`${directory}/${name}`) : [`${directory}/${name}`]
  );
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(new URL(path, PROJECT)).then(() => true, () => false);
}

Deno.test("every file that the docs name is there", async () => {
  const missing: string[] = [];
  let seen = 0;
  for (const page of pages) {
    const text = await Deno.readTextFile(new URL(page, PROJECT));
    for (
      const [path] of text.matchAll(/(?<![.\w/])(?:src|tests|tools|docs|findings)\/[\w/.-]*\w\/?/g)
    ) {
      if (path.includes("NAME")) continue;
      seen++;
      if (!await isThere(path)) missing.push(`${page}: ${path}`);
    }
  }
  assert(seen > 50, `only ${seen} paths were found`);
  assertEquals(missing, []);
});

Deno.test("every link of the docs leads to a page, and to a heading of it", async () => {
  const dead: string[] = [];
  for (const page of pages) {
    const text = await Deno.readTextFile(new URL(page, PROJECT));
    for (const [, target, heading] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      const url = new URL(target || page.split("/").at(-1)!, new URL(page, PROJECT));
      const there = await Deno.readTextFile(url).catch(() => undefined);
      const anchors = there?.split("\n").filter((line) => line.startsWith("#")).map((line) =>
        line.replace(/^#+ /, "").toLowerCase().replace(/[^\w\s-]/g, "").replaceAll(" ", "-")
      );
      if (!anchors || (heading && !anchors.includes(heading))) {
        dead.push(`${page}: ${target}${heading ? `#${heading}` : ""}`);
      }
    }
  }
  assertEquals(dead, []);
});
