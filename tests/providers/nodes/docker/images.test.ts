import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import Docker from "dockerode";
import { assertGiven } from "../../../../providers/nodes/docker/images/given.ts";
import {
  type Builder,
  idOf,
  imageOf,
  ownImage,
} from "../../../../providers/nodes/docker/images/build.ts";
import { architectureOf, identityOf, withExecutable } from "../../../../providers/executable.ts";
import { recipeOf } from "../../../../providers/nodes/docker/images/recipe.ts";
import { docker as cli, dockerMissing } from "../../../support/docker.ts";

setDefaultTimeout(300_000);
const missing = dockerMissing();
const here = missing ?? "here";
const base = "debian:trixie-slim";
const docker = new Docker();
const at: Builder = { docker, env: process.env };
const { signal } = new AbortController();
const run = crypto.randomUUID().slice(0, 8);
const made: string[] = [];

/** A small image of its own. `name` makes it one that no other test has. */
function recipe(name: string, script: string, from = base) {
  const tag = `pgdba-test-${name}:${run}`;
  made.push(tag);
  const Dockerfile = `ARG FROM\nFROM \${FROM}\nCOPY a /a\n${script}\n`;
  return {
    tag,
    base: from,
    arguments: { FROM: from },
    files: { Dockerfile, a: `${run} ${name}\n` },
  };
}

afterAll(async () => {
  if (missing !== null) return;
  for (const tag of made) if ((await idOf(docker, tag)) !== null) await cli("rmi", "-f", tag);
});

test("a tag has PostgreSQL's version, ours, and a hash of all that goes into the image", () => {
  const tags = [recipeOf("postgres", 17), recipeOf("postgres", 18), recipeOf("etcd", 17)].map(
    ({ tag }) => tag,
  );
  expect(new Set(tags).size).toBe(3);
  expect(tags[0]).toMatch(/^pgdba-postgres:17-\d+\.\d+\.\d+-[0-9a-f]{12}$/);
  expect(recipeOf("postgres", 17).tag).toBe(tags[0]!);
  expect(recipeOf("pgbouncer", 17, "one").tag).not.toBe(recipeOf("pgbouncer", 17, "other").tag);
  expect(recipeOf("postgres", 18)).toMatchObject({
    base: "debian:forky-slim",
    arguments: { PG_MAJOR: "18" },
  });
});

test("a version and a role that there is no image for are told", () => {
  expect(() => recipeOf("postgres", 16)).toThrow(
    "no image of pgdba for PostgreSQL 16: Debian's releases have 15, 17, 18",
  );
  expect(() => recipeOf("backup", 17)).toThrow("no image of pgdba for the role backup");
  expect(architectureOf("amd64")).toBe("x64");
  expect(() => architectureOf("riscv64")).toThrow(
    "can't be compiled for a Docker Engine on riscv64",
  );
});

test("the executable's identity is that of its sources and its processor", async () => {
  const [x64, again, arm64] = await Promise.all([
    identityOf("x64"),
    identityOf("x64"),
    identityOf("arm64"),
  ]);
  expect(again).toBe(x64);
  expect(arm64).not.toBe(x64);
});

test("an executable that can't be compiled is told with the compiler's own words", async () => {
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent" };
  await expect(
    withExecutable("mips", { env, by: { signal } }, async () => null),
  ).rejects.toMatchObject({
    code: "command_failed",
    message: expect.stringContaining("There is no target linux-mips"),
  });
});

test.skipIf(missing !== null)(
  `an image is built once, also by two at the same time (${here})`,
  async () => {
    const one = recipe("once", "RUN echo first line; echo second line");
    const texts: string[] = [];
    const by = { signal, progress: ({ text }: { text?: string }) => texts.push(text ?? "") };
    const both = await Promise.all([imageOf(at, one, null, by), imageOf({ ...at }, one, null, by)]);
    expect(both).toEqual([one.tag, one.tag]);
    const id = await idOf(docker, one.tag);
    expect(texts).toContain(`${one.tag}: second line`);
    expect(texts.filter((text) => text.endsWith("building")).length).toBe(1);
    const { length } = texts;
    await imageOf(at, one, null, by);
    expect(texts.length).toBe(length);
    expect(await idOf(docker, one.tag)).toBe(id);
    expect(await cli("run", "--rm", one.tag, "cat", "/a")).toBe(`${run} once`);
  },
);

test.skipIf(missing !== null)(
  `a builder elsewhere that was quicker keeps the tag (${here})`,
  async () => {
    const one = recipe("race", "RUN sleep 1");
    const slow = imageOf(at, one, null, { signal });
    await cli("tag", base, one.tag);
    const theirs = await idOf(docker, base);
    await slow;
    expect(await idOf(docker, one.tag)).toBe(theirs);
  },
);

test.skipIf(missing !== null)(
  `a build that fails tells the last lines of its output (${here})`,
  async () => {
    const failing = recipe(
      "fails",
      "RUN for n in $(seq 30); do echo line $n; done; echo no such package; exit 3",
    );
    const error = await imageOf(at, failing, null, { signal }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "command_failed", nothingDone: true });
    expect(error.message).toStartWith(`The image ${failing.tag} could not be built: `);
    expect(error.message).toContain("returned a non-zero code: 3");
    expect(error.data.output).toContain("no such package");
    expect(error.data.output).not.toContain("line 5");
    expect(error.hint).toContain("line 30\n");
    expect(await idOf(docker, failing.tag)).toBeNull();
  },
);

test.skipIf(missing !== null)(`a base image that can't be had (${here})`, async () => {
  // Nobody listens on this port of the Engine's machine.
  const nowhere = recipe("nowhere", "", "127.0.0.1:1/debian:none");
  await expect(imageOf(at, nowhere, null, { signal })).rejects.toMatchObject({
    code: "command_failed",
    message: expect.stringContaining(
      "The base image 127.0.0.1:1/debian:none is not there, and can't be pulled: ",
    ),
    hint: expect.stringContaining("docker load"),
  });
});

test.skipIf(missing !== null)(
  `a build that is given up ends, and may be begun again (${here})`,
  async () => {
    const slow = recipe("slow", "RUN echo begun; sleep 2");
    const [giving, leaving] = [new AbortController(), new AbortController()];
    const begun = Promise.withResolvers<void>();
    const progress = ({ text }: { text?: string }) => {
      if (text?.endsWith("begun")) begun.resolve();
    };
    const given = imageOf(at, slow, null, { signal: giving.signal, progress }).catch((e) => e);
    await begun.promise;
    const other = imageOf(at, slow, null, { signal });
    const third = imageOf(at, slow, null, { signal: leaving.signal }).catch((e) => e);
    leaving.abort(new Error("left"));
    expect((await third).message).toBe("left");
    giving.abort(new Error("given up"));
    expect((await given).message).toBe("given up");
    // It had joined the one that was given up.
    expect(await other).toBe(slow.tag);
  },
);

test.skipIf(missing !== null)(
  `an image of one's own is looked at before it is taken (${here})`,
  async () => {
    const by = { signal };
    await expect(assertGiven(docker, base, "postgres", by)).rejects.toMatchObject({
      code: "step_refused",
      message: `The image ${base} can't be a node for postgres: it lacks /usr/bin/python3, /usr/local/lib/pgdba/start_postgres.py, /usr/bin/patroni, an ENTRYPOINT`,
    });
    await expect(assertGiven(docker, "127.0.0.1:1/own:none", "etcd", by)).rejects.toMatchObject({
      code: "step_refused",
      message: expect.stringContaining("has no image 127.0.0.1:1/own:none, and can't pull it"),
    });
    const ours = await ownImage(at, "etcd", 17, by);
    const theirs = recipe("own", "", ours);
    await imageOf(at, theirs, null, by);
    await assertGiven(docker, theirs.tag, "etcd", by);
    expect(await cli("ps", "-aq", "--filter", "label=pgdba.kind=look")).toBe("");
  },
);

test.skipIf(missing !== null)(`pgdba runs in PgBouncer's image (${here})`, async () => {
  const image = await ownImage(at, "pgbouncer", 17, { signal });
  const said = JSON.parse(
    await cli(
      "run",
      "--rm",
      "--user",
      "postgres",
      "--entrypoint",
      "pgdba",
      image,
      "list",
      "--full",
    ),
  );
  expect(said.success).toBe(true);
  expect(said.data.runbooks.map(({ name }: { name: string }) => name)).toContain(
    "pgbouncer/follow",
  );
});
