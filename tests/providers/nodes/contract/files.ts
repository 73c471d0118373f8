import { expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../../../../engine/errors.ts";
import type { Case } from "../contract.ts";
import { collector, failure, type World } from "./helpers.ts";

export function fileCases(world: World, one: Case): void {
  const home = async () => (await world.nodes().exec("a", ["pwd"])).stdout.trim();
  const look = async (path: string) =>
    (await world.nodes().exec("a", ["stat", "-c", "%a %U", path])).stdout.trim();

  one(
    ["put", "get"],
    "a file arrives whole, with mode and owner, from text, bytes, a stream or a file",
    async () => {
      const nodes = world.nodes();
      const folder = await home();
      const local = join(world.stateDir, "local");
      writeFileSync(local, "from a file");
      async function* stream() {
        yield Buffer.from("from ");
        yield Buffer.from("a stream");
      }
      const owner = (await nodes.exec("a", ["id", "-un"])).stdout.trim();
      for (const [name, from, text] of [
        ["text", { content: "from ünïcode\0" }, "from ünïcode\0"],
        ["bytes", { content: new Uint8Array([65, 0, 66]) }, "A\0B"],
        ["stream", { content: stream() }, "from a stream"],
        ["local", { local }, "from a file"],
      ] as const) {
        const path = `${folder}/put ${name}`;
        await nodes.put("a", path, from, name === "text" ? { mode: 0o640, owner } : {});
        expect(await look(path)).toBe(`${name === "text" ? 640 : 600} ${owner}`);
        const back = collector();
        await nodes.get("a", path, { sink: back.sink });
        expect(back.text()).toBe(text);
        const copy = join(world.stateDir, `copy-${name}`);
        await nodes.get("a", path, { local: copy });
        expect(readFileSync(copy, "utf8")).toBe(text);
        expect(await failure(nodes.get("a", path, { local: copy }))).toMatchObject({
          code: "io_failed",
        });
        await nodes.exec("a", ["rm", path]);
      }
    },
  );

  one(["put"], "whoever reads while a file is put finds the old or the new", async () => {
    const nodes = world.nodes();
    const path = `${await home()}/swap`;
    const size = 200_000;
    await nodes.put("a", path, { content: "0".repeat(size) });
    const script = `while [ ! -e "$1.end" ]; do echo "$(head -c 1 "$1") $(wc -c <"$1")"; done`;
    const seen = collector();
    const reader = nodes.exec("a", ["sh", "-c", script, "sh", path], { onStdout: seen.sink });
    const lines = () => seen.text().split("\n").slice(0, -1);
    for (let n = 1; lines().length < 40; n++)
      await nodes.put("a", path, { content: String(n % 10).repeat(size) });
    await nodes.put("a", `${path}.end`, { content: "" });
    await reader;
    for (const line of lines()) expect(line).toMatch(/^\d 200000$/);
    expect(new Set(lines()).size).toBeGreaterThan(1);
    const names = (await nodes.exec("a", ["ls", "-A", await home()])).stdout;
    expect(names).not.toContain(".new");
    await nodes.exec("a", ["rm", path, `${path}.end`]);
  });

  one(["put"], "a source that breaks leaves the old file as it is", async () => {
    const nodes = world.nodes();
    const path = `${await home()}/broken`;
    await nodes.put("a", path, { content: "old" });
    async function* broken() {
      yield new Uint8Array(10);
      throw new Error("gone");
    }
    await failure(nodes.put("a", path, { content: broken() }));
    const stop = new AbortController();
    async function* hanging() {
      yield new Uint8Array(10);
      stop.abort(new PgdbaError("interrupted", "enough"));
      await new Promise(() => {});
    }
    const told = world.nodes({ signal: stop.signal }).put("a", path, { content: hanging() });
    expect(await failure(told)).toMatchObject({ code: "interrupted", message: "enough" });
    expect((await nodes.exec("a", ["ls", "-A", await home()])).stdout).not.toContain(".pgdba-");
    expect((await nodes.exec("a", ["cat", path])).stdout).toBe("old");
    await nodes.exec("a", ["rm", path]);
  });

  one(["put", "get"], "a folder goes with all that is in it, there and back", async () => {
    const nodes = world.nodes();
    const from = join(world.stateDir, "tree");
    mkdirSync(join(from, "in/side"), { recursive: true });
    writeFileSync(join(from, "one"), "1");
    writeFileSync(join(from, "in/side/two"), "2");
    symlinkSync("in/side/two", join(from, "link"));
    chmodSync(join(from, "one"), 0o644);
    const path = `${await home()}/tree`;
    await nodes.put("a", path, { local: from }, { mode: 0o440, folderMode: 0o750 });
    expect(
      [await look(`${path}/in`), await look(`${path}/in/side/two`)].map(
        (text) => text.split(" ")[0],
      ),
    ).toEqual(["750", "440"]);
    expect((await nodes.exec("a", ["cat", `${path}/link`])).stdout).toBe("2");
    expect(await failure(nodes.put("a", path, { local: from }))).toMatchObject({
      code: "io_failed",
      nothingDone: true,
    });
    writeFileSync(join(from, "one"), "changed");
    await nodes.put("a", path, { local: from }, { replace: true });
    expect((await nodes.exec("a", ["cat", `${path}/one`])).stdout).toBe("changed");
    const back = join(world.stateDir, "back");
    await nodes.get("a", path, { local: back });
    expect(readdirSync(back, { recursive: true }).toSorted()).toEqual([
      "in",
      "in/side",
      "in/side/two",
      "link",
      "one",
    ]);
    expect(readlinkSync(join(back, "link"))).toBe("in/side/two");
    expect(statSync(join(back, "one")).mode & 0o777).toBe(0o600);
    expect((await nodes.exec("a", ["ls", "-A", await home()])).stdout).not.toMatch(/\.pgdba-/);
    await nodes.exec("a", ["rm", "-r", path]);
  });

  one(["put", "get"], "what is no file, no folder or no path is refused", async () => {
    const nodes = world.nodes();
    const missing = `${await home()}/missing`;
    for (const work of [
      () => nodes.get("a", missing, { sink: () => {} }),
      () => nodes.get("a", missing, { local: join(world.stateDir, "missing") }),
      () => nodes.put("a", `${missing}/below`, { content: "x" }),
      () => nodes.put("a", missing, { local: join(world.stateDir, "nowhere") }),
    ])
      expect(await failure(work())).toMatchObject({ code: "io_failed" });
    for (const work of [
      () => nodes.put("a", "relative", { content: "x" }),
      () => nodes.get("a", "relative", { sink: () => {} }),
    ])
      expect(await failure(work())).toMatchObject({ code: "invalid_param", nothingDone: true });
    expect(existsSync(join(world.stateDir, "missing"))).toBe(false);
  });
}
