/** Runs on backups of a real cluster that are killed, or whose work beside the data is, and what is really there afterwards. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { at, cli, Running } from "../e2e/support.ts";
import { type BackupAct, wrong } from "./backup-acts.ts";
import { type Crashed, NODE, STANDBY } from "./crashed-cluster.ts";
import { KILL_AT, KILLED, runIn } from "./live.ts";
import { LIMIT_MS, until } from "./rehearsed.ts";

/** A run that asks a person has ended with it. */
const WAITS = 4;

/** How it is disturbed. */
export type Disturbance =
  /** At a moment of `kill-at.ts`. */
  | { kind: "moment"; moment: string }
  | { kind: "after"; ms: number }
  /** Not pgdba, but its work on the node, so long after that was begun. */
  | { kind: "work"; job: string; ms: number };

export interface Trial {
  said: string[];
  problems: string[];
}

export class BackupCrashes {
  readonly it: Crashed;
  readonly #read = new Set<string>();

  constructor(it: Crashed) {
    this.it = it;
  }

  /** A clean run: the moments at which it can be killed, and how long it takes. */
  async moments(act: BackupAct): Promise<{ moments: string[]; ms: number }> {
    const { it } = this;
    await act.prepare?.(it);
    const log = join(it.shop.place.root, `moments-${crypto.randomUUID()}`);
    const from = performance.now();
    const { exit, stdout } = await this.#through(await act.words(it), { KILL_LOG: log });
    if (exit !== 0) throw new Error(stdout);
    const ms = performance.now() - from;
    const problems = (await act.judge?.(it, true)) ?? [];
    if (problems.length > 0) throw new Error(`undisturbed: ${problems.join("; ")}`);
    const moments = new Set(
      readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line !== ""),
    );
    rmSync(log);
    return { moments: [...moments], ms };
  }

  async trial(act: BackupAct, how: Disturbance, givesUp: boolean): Promise<Trial> {
    const { it } = this;
    const out: Trial = { said: [], problems: [] };
    await act.prepare?.(it);
    const words = await act.words(it);
    const { exit, stderr, stdout } = await this.#through(
      words,
      how.kind === "moment" ? { KILL_AT: how.moment } : {},
      (running) => this.#disturb(running, how, out),
    );
    const id = runIn(stderr);
    let done = exit === 0;
    const isKilled = exit === KILLED || exit === -9;
    out.said.push(isKilled ? "killed" : `exit ${exit}`);
    if (!isKilled && exit !== 0) {
      // What became of its work is told, and taken back.
      const error = JSON.parse(stdout).error;
      out.said.push(error?.message);
      out.problems.push(
        ...wrong(exit === 5 || exit === 1, `exit ${exit}: ${JSON.stringify(error)}`),
      );
    }
    out.problems.push(...this.#original());
    if (isKilled && id !== undefined) {
      let ended = await it.resume(id, ...(givesUp ? ["--give-up"] : []));
      // It has come to its question, and the next one is the yes.
      if (ended.exit === WAITS) ended = await it.resume(id, "--confirm=shop");
      done = ended.exit === 0;
      const error = ended.envelope.error;
      out.said.push(
        `${givesUp ? "given up" : "resumed"}: exit ${ended.exit}${error ? ` ${error.code}: ${error.message}` : ""}`,
      );
      // A run that had ended, but for its last words, is no run to resume.
      const isOver = error?.code === "usage";
      if (isOver) done = at(await this.#run(id), "status") === "ok";
      const holds =
        isOver || (givesUp ? [1, 5, 130].includes(ended.exit) : done || ended.exit === 5);
      out.problems.push(...wrong(holds, `resume: ${JSON.stringify(error)?.slice(0, 600)}`));
    }
    out.problems.push(...this.#original());
    out.problems.push(...(await this.#whole()));
    out.problems.push(...((await act.judge?.(it, done)) ?? []));
    out.problems.push(...(await this.#listed(act.removes)));
    out.problems.push(...it.left(id).map((one) => `left: ${one}`));
    return out;
  }

  async #run(id: string): Promise<any> {
    return (await cli(["runs", id, "--format", "json", "--full"], this.it.shop.place)).envelope
      .data;
  }

  /** One that asks a person is told to go on. */
  async #through(
    words: string[],
    env: Record<string, string>,
    disturb?: (running: Running) => void,
  ) {
    const first = this.#begin(words, env);
    disturb?.(first);
    const ran = await first.ended();
    if (ran.exit !== WAITS) return ran;
    const second = this.#begin(["resume", runIn(ran.stderr)!, "--confirm=shop"], env);
    disturb?.(second);
    return second.ended();
  }

  #disturb(running: Running, how: Disturbance, out: Trial): void {
    if (how.kind === "after")
      setTimeout(() => {
        try {
          running.signal("SIGKILL");
        } catch {
          // It has ended, or asks a person.
        }
      }, how.ms).unref();
    if (how.kind === "work") void this.#killWork(running, how, out);
  }

  #begin(words: string[], env: Record<string, string>): Running {
    const { it } = this;
    return new Running(it.argv(...words), it.shop.place, {
      limitMs: LIMIT_MS,
      preload: KILL_AT,
      env,
    });
  }

  async #killWork(running: Running, how: { job: string; ms: number }, out: Trial): Promise<void> {
    const ended = running.ended().then(() => true);
    for (;;) {
      const [pid] = this.it.workers(how.job);
      if (pid !== undefined) {
        await Bun.sleep(how.ms);
        try {
          process.kill(pid, "SIGKILL");
          out.said.push(`its ${how.job} was killed`);
        } catch {
          out.said.push(`its ${how.job} had ended`);
        }
        return;
      }
      if (await Promise.race([ended, Bun.sleep(5).then(() => false)])) return;
    }
  }

  /** The data from before is somewhere, whatever happens. */
  #original(): string[] {
    const { it } = this;
    const places = [it.data(), ...it.aside().map((name) => join(dirname(it.data()), name))];
    return wrong(
      places.some((path) => existsSync(join(path, "PG_VERSION"))),
      "there is no data directory at all",
    );
  }

  /** What is listed as a backup can be read back, all of it; none was taken for damaged. */
  async #listed(again = false): Promise<string[]> {
    const { it } = this;
    const { backups } = await it.list();
    const problems: string[] = [];
    for (const { id, status } of backups) {
      problems.push(...wrong(status !== "damaged", `${id} is damaged, it is said`));
      if (this.#read.has(id) && !again) continue;
      const { exit, envelope } = await it.run("backup", "verify", id);
      if (exit === 0) this.#read.add(id);
      else problems.push(`${id} is listed: ${JSON.stringify(envelope.error)}`);
    }
    return problems;
  }

  /** The server runs, takes writes, and archives, or does not archive because it was told so; the standby streams. */
  async #whole(): Promise<string[]> {
    const { it } = this;
    try {
      await it.sql("create temporary table writable ()");
      await until(
        () => it.shop.streaming(NODE),
        (found) => found.join() === STANDBY,
        60_000,
      );
      const mode = await it.sql("show archive_mode");
      if (mode === "off") return [];
      const { missing } = await it.well("backup", "gaps");
      return wrong((missing ?? []).length === 0, `gaps: ${JSON.stringify(missing)}`);
    } catch (error) {
      return [`the server: ${(error as Error).message}`];
    }
  }
}
