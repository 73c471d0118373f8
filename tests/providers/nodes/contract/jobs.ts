import { expect } from "bun:test";
import type { JobName } from "../../../../providers/nodes/contract.ts";
import type { Case } from "../contract.ts";
import { drive } from "./driven.ts";
import { collector, failure, type World } from "./helpers.ts";

export function jobCases(world: World, one: Case): void {
  let count = 0;
  const newName = (): JobName => `run-1/each/${count++}/step "x"`;
  const finished = async (name: JobName) => {
    const [out, err] = [collector(), collector()];
    const state = await world
      .nodes()
      .jobs.follow("a", name, { onStdout: out.sink, onStderr: err.sink });
    return { state, out: out.text(), err: err.text() };
  };

  one(["jobs"], "a job runs once, keeps what it wrote and how it ended", async () => {
    const { jobs } = world.nodes();
    const name = newName();
    expect(await jobs.find("a", name)).toBeNull();
    const argv = ["sh", "-c", 'cat; printf "%s" "$V"; echo err >&2; exit 3'];
    await jobs.start("a", name, argv, { stdin: "in ", env: { V: "out" } });
    const { state, out, err } = await finished(name);
    expect(state).toEqual({
      name,
      labels: { run: "run-1", path: "make" },
      state: "ended",
      exit_code: 3,
      signal: null,
      written: { stdout: 6, stderr: 4 },
    });
    expect([out, err]).toEqual(["in out", "err\n"]);
    expect(await (await world.another()).jobs.find("a", name)).toEqual(state);
    await jobs.forget("a", name);
    await jobs.forget("a", name);
    expect(await jobs.find("a", name)).toBeNull();
  });

  one(["jobs"], "all who start it at once, here and elsewhere, start it once", async () => {
    const name = newName();
    const mark = `/tmp/pgdba-once-${crypto.randomUUID()}`;
    const argv = ["sh", "-c", `echo x >>${mark}; sleep 0.3`];
    const call = { run: "run-1", verb: "jobs.start", args: ["a", name, argv] };
    const others = [drive(world, call), drive(world, call)];
    const { jobs } = world.nodes();
    await Promise.all([1, 2, 3].map(() => jobs.start("a", name, argv)));
    for (const other of others) await other.said("done");
    expect((await finished(name)).state.exit_code).toBe(0);
    await jobs.start("a", name, argv);
    expect((await world.nodes().exec("a", ["cat", mark])).stdout).toBe("x\n");
    await world.nodes().exec("a", ["rm", mark]);
    const other = jobs.start("a", name, ["true"]);
    expect(await failure(other)).toMatchObject({ code: "step_refused", nothingDone: true });
    await jobs.start("a", `${name}@2`, ["true"]);
  });

  one(
    ["jobs"],
    "it goes on when pgdba is killed, and is found and followed from where one was",
    async () => {
      const name = newName();
      const argv = [
        "sh",
        "-c",
        "echo one; while [ ! -e go ]; do sleep 0.02; done; rm go; echo two",
      ];
      const home = (await world.nodes().exec("a", ["pwd"])).stdout.trim();
      const other = drive(world, {
        run: "run-1",
        verb: "jobs.start",
        args: ["a", name, argv],
        stay: true,
      });
      await other.said("done");
      await other.kill();
      const nodes = await world.another();
      const found = await world.until(
        () => nodes.jobs.find("a", name),
        (state) => state?.written.stdout === 4,
      );
      expect(found).toMatchObject({ state: "running", exit_code: null, signal: null });
      expect((await nodes.jobs.list("a", { run: "run-1" })).map((job) => job.name)).toContainEqual(
        name,
      );
      expect(await nodes.jobs.list("a", { run: "run-0" })).toEqual([]);
      const stop = new AbortController();
      const seen = collector();
      const following = nodes.jobs
        .follow("a", name, { onStdout: seen.sink, signal: stop.signal })
        .catch((error: unknown) => error);
      await world.until(
        async () => seen.text(),
        (text) => text === "one\n",
      );
      stop.abort(new Error("enough"));
      expect(String(await following)).toBe("Error: enough");
      expect((await nodes.jobs.find("a", name))?.state).toBe("running");
      const rest = collector();
      const end = nodes.jobs.follow("a", name, {
        from: { stdout: 4, stderr: 0 },
        onStdout: rest.sink,
      });
      await world.nodes().exec("a", ["touch", `${home}/go`]);
      expect(await end).toMatchObject({ state: "ended", exit_code: 0 });
      expect(rest.text()).toBe("two\n");
    },
  );

  one(
    ["jobs"],
    "a job is stopped with all that it started, also what does not listen",
    async () => {
      const { jobs } = world.nodes();
      // Another suite beside this one sleeps as well.
      const long = `sleep ${300 + Math.random()}`;
      for (const [script, how] of [
        [`${long} & echo up; wait`, { exit_code: null, signal: "SIGTERM" }],
        [
          `trap '' TERM; sh -c 'echo up; ${long}' & wait; ${long}`,
          { exit_code: null, signal: "SIGKILL" },
        ],
        [`trap 'exit 5' TERM; echo up; ${long} & wait`, { exit_code: 5, signal: null }],
      ] as const) {
        const name = newName();
        await jobs.start("a", name, ["sh", "-c", script]);
        await world.until(
          () => jobs.find("a", name),
          (state) => state?.written.stdout === 3,
        );
        expect(await failure(jobs.forget("a", name))).toMatchObject({ code: "step_refused" });
        const state = await jobs.stop("a", name, { graceMs: 300 });
        expect(state).toMatchObject({ state: "ended", ...how });
        expect(await jobs.stop("a", name)).toEqual(state);
      }
      const left = await world.nodes().exec("a", ["pgrep", "-f", `^${long}$`]);
      expect(left.stdout).toBe("");
    },
  );

  one(
    ["jobs", "kill_node", "start"],
    "one that was killed with its node has ended, and nobody says how",
    async () => {
      const { jobs } = world.nodes();
      const name = newName();
      await jobs.start("b", name, ["sh", "-c", "echo up; sleep 300"]);
      await world.until(
        () => jobs.find("b", name),
        (state) => state?.written.stdout === 3,
      );
      await world.nodes().kill("b", "node");
      const state = await world.until(
        () => jobs.find("b", name),
        (found) => found?.state === "ended",
      );
      expect(state).toMatchObject({ exit_code: null, signal: null });
      expect(state?.unknown).toBeString();
      await world.nodes().start("b");
      await world.replicates("a", "b");
    },
  );

  one(
    ["jobs"],
    "what can't be started, or would show a secret, is refused and is no job",
    async () => {
      const nodes = world.nodes({ forbid: (text) => text.includes("s3cret") });
      for (const [argv, code] of [
        [["no-such-program"], "command_failed"],
        [["echo", "s3cret"], "secret_exposed"],
        [[], "invalid_param"],
        [["echo", "a\0b"], "invalid_param"],
      ] as const) {
        const name = newName();
        const error = await failure(nodes.jobs.start("a", name, [...argv]));
        expect(error).toMatchObject({ code, nothingDone: true });
        expect(await nodes.jobs.find("a", name)).toBeNull();
      }
      // A name that was not used is free.
      const free = newName();
      await failure(nodes.jobs.start("a", free, ["true"], { cwd: "/nowhere" }));
      expect(await nodes.jobs.find("a", free)).toBeNull();
      await nodes.jobs.start("a", free, ["echo", "yes"]);
      expect((await finished(free)).out).toBe("yes\n");
      // Words of a shell are programs' names like others.
      const name = newName();
      await nodes.jobs.start("a", name, ["echo", "-n", "x y", "$HOME"]);
      expect((await finished(name)).out).toBe("x y $HOME");
    },
  );
}
