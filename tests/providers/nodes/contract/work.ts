import { expect } from "bun:test";
import type { Case } from "../contract.ts";
import { drive } from "./driven.ts";
import { collector, failure, type World } from "./helpers.ts";

const HOSTILE = [
  "",
  "-x",
  "two\nlines",
  `'; echo "no" #`,
  "$(id) `id` $HOME * ~",
  "ünïcode \u{1f418}",
  "\\ \t",
];
/** Prints each argument between brackets. */
const SHOW = 'for one in "$@"; do printf "[%s]" "$one"; done';

export function workCases(world: World, one: Case): void {
  one(["exec"], "arguments, variables, folder and input arrive as they are", async () => {
    const nodes = world.nodes();
    const shown = await nodes.exec("a", ["sh", "-c", SHOW, "sh", ...HOSTILE]);
    expect(shown).toMatchObject({ exit_code: 0, signal: null });
    expect(shown.stdout).toBe(HOSTILE.map((text) => `[${text}]`).join(""));
    const value = HOSTILE.join("|");
    const rest = await nodes.exec("a", ["sh", "-c", 'printf "%s" "$V"; pwd; cat'], {
      env: { V: value },
      cwd: "/",
      stdin: "in\n",
    });
    expect(rest.stdout).toBe(`${value}/\nin\n`);
  });

  one(["exec"], "how it ended is told, and both streams are kept apart", async () => {
    const nodes = world.nodes();
    const failed = await nodes.exec("a", ["sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(failed).toMatchObject({ exit_code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
    const killed = await nodes.exec("a", ["sh", "-c", "kill -9 $$"]);
    expect(killed).toMatchObject({ exit_code: null, signal: "SIGKILL" });
    const missing = await failure(nodes.exec("a", ["no-such-program"]));
    expect(missing).toMatchObject({ code: "command_failed", nothingDone: true });
  });

  one(
    ["exec"],
    "a program finds its server and logs in without a password on its command line",
    async () => {
      const { stdout } = await world
        .nodes()
        .exec("b", [
          "sh",
          "-c",
          'cat "$PGDATA/PG_VERSION"; command -v pg_ctl; command -v postgres; echo "$PGPORT"; cat "$PGPASSFILE"',
        ]);
      const lines = stdout.split("\n");
      expect(lines[0]).toBe(String(world.place.version));
      const bin = (await world.nodes().facts("b")).postgres!.bin;
      expect(lines.slice(1, 3)).toEqual([`${bin}/pg_ctl`, `${bin}/postgres`]);
      expect(await world.sql("b", "SHOW port")).toEqual([[lines[3]]]);
      expect(stdout).toContain("replicator");
    },
  );

  one(["exec"], "bytes stream in and out as fast as they are taken", async () => {
    const MB = 1 << 20;
    let given = 0;
    async function* input() {
      for (; given < 64; given++) yield new Uint8Array(MB).fill(given);
    }
    const hash = new Bun.CryptoHasher("sha256");
    const wanted = new Bun.CryptoHasher("sha256");
    for (let n = 0; n < 64; n++) wanted.update(new Uint8Array(MB).fill(n));
    let taken = 0;
    let waited = false;
    const { exit_code, stdout } = await world.nodes().exec("a", ["cat"], {
      stdin: input(),
      async onStdout(bytes) {
        hash.update(bytes);
        taken += bytes.length;
        if (waited) return;
        waited = true;
        await Bun.sleep(300);
        // A slow taker was not run over: the source was asked for little more than what fits on the way.
        expect(given).toBeLessThan(48);
      },
    });
    expect([exit_code, stdout, taken]).toEqual([0, "", 64 * MB]);
    expect(hash.digest("hex")).toBe(wanted.digest("hex"));
  });

  one(
    ["exec"],
    "one that takes too long, or is told to end, is gone with its children",
    async () => {
      const nodes = world.nodes();
      const mark = `${300 + Math.random()}`;
      const argv = ["sh", "-c", `sleep ${mark} & echo up; wait`];
      const left = async () => (await nodes.exec("a", ["pgrep", "-f", `sleep ${mark}`])).stdout;
      expect(await failure(nodes.exec("a", argv, { timeoutMs: 300 }))).toMatchObject({
        code: "timeout",
      });
      const stop = new AbortController();
      const out = collector();
      const told = nodes
        .exec("a", argv, { signal: stop.signal, onStdout: out.sink })
        .catch((error: unknown) => error);
      await world.until(
        async () => out.text(),
        (text) => text !== "",
      );
      stop.abort(new Error("told to end"));
      expect(String(await told)).toBe("Error: told to end");
      await world.until(left, (text) => text === "");
    },
  );

  one(["exec"], "what it runs ends with pgdba, also when that is killed", async () => {
    const mark = `${300 + Math.random()}`;
    const argv = ["sh", "-c", `sleep ${mark} & echo up >&2; wait`];
    const left = async () =>
      (await world.nodes().exec("a", ["pgrep", "-f", `^sleep ${mark}`])).stdout;
    const other = drive(world, { run: "run-1", verb: "exec", args: ["a", argv] });
    await world.until(left, (text) => text !== "");
    await other.kill();
    await world.until(left, (text) => text === "");
  });

  one(["exec"], "an account is one of the node, or refused", async () => {
    const nodes = world.nodes();
    const own = (await nodes.exec("a", ["id", "-un"])).stdout.trim();
    expect((await nodes.exec("a", ["id", "-un"], { user: own })).stdout.trim()).toBe(own);
    const error = await failure(nodes.exec("a", ["id"], { user: "nobody-of-that-name" }));
    expect(error).toMatchObject({ code: "unsupported", nothingDone: true });
  });

  one(["exec"], "a secret is refused on a command line before anything is started", async () => {
    const forbid = (text: string) => text.includes("s3cret");
    const error = await failure(world.nodes({ forbid }).exec("a", ["echo", "s3cret"]));
    expect(error).toMatchObject({ code: "secret_exposed", nothingDone: true });
    expect(error.message).not.toContain("s3cret");
  });

  one(["exec"], "a node that is not there is named", async () => {
    for (const node of ["z", "../a", ""]) {
      const error = await failure(world.nodes().exec(node, ["true"]));
      expect(error).toMatchObject({ code: "step_failed", nothingDone: true });
      expect(error.hint).toContain("a, b");
    }
  });
}
