/** One rehearsal that is disturbed once, gone on with as its hints say, and judged by what is really there then. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { at, cli, type Ran, type Running } from "../../e2e/support.ts";
import { LIMIT_MS, NODES, type Rehearsed, until } from "../rehearsed.ts";

export type Act =
  | "kill"
  | "interrupt"
  | "interrupt twice"
  | "server dies"
  | "server freezes"
  | "server restarts"
  | "somebody moves it";
export const ACTS: readonly Act[] = [
  "kill",
  "interrupt",
  "interrupt twice",
  "server dies",
  "server freezes",
  "server restarts",
  "somebody moves it",
];

export interface Trial {
  runbook: "create" | "move" | "copy" | "restore" | "destroy";
  act: Act;
  /** The act comes after so many steps have begun, and so many ms later. */
  step: number;
  delayMs: number;
  /** Which of the servers it befalls: the primary, the one that becomes it, or another standby. */
  victim: 0 | 1 | 2;
}

export interface Outcome {
  problems: string[];
  /** For the record: how each process ended. */
  ends: string[];
}

/** More resumes than any trial needs. */
const MAX_PROCESSES = 6;
const EXITS = [0, 1, 5, 6, 130];

export class Drill {
  readonly cluster: Rehearsed;
  readonly trial: Trial;
  readonly #problems: string[] = [];
  readonly #ends: string[] = [];
  #frozen: string | undefined;

  constructor(cluster: Rehearsed, trial: Trial) {
    this.cluster = cluster;
    this.trial = trial;
  }

  async run(): Promise<Outcome> {
    const { cluster, trial } = this;
    const watch = this.#watchPrimaries();
    try {
      if (trial.runbook === "create") await this.#create();
      else if (trial.runbook === "destroy") await this.#destroy();
      else await this.#change();
    } catch (error) {
      this.#problem(error instanceof Error ? error.message : String(error));
    } finally {
      watch.stop();
      if (this.#frozen !== undefined)
        await (await cluster.nodes()).thaw(this.#frozen).catch(() => {});
    }
    return { problems: this.#problems, ends: this.#ends };
  }

  #problem(text: string): void {
    this.#problems.push(text);
  }

  /** Never two that take writes at once. Files are read one after the other, so what is seen once is looked at again. */
  #watchPrimaries(): { stop(): void } {
    let told = false;
    const timer = setInterval(() => {
      if (told || this.cluster.base() === undefined) return;
      const first = this.cluster.writable();
      if (first.length < 2) return;
      const both = this.cluster.writable().filter((node) => first.includes(node));
      if (both.length < 2) return;
      told = true;
      this.#problem(`${both.join(" and ")} took writes at the same time`);
    }, 20);
    return { stop: () => clearInterval(timer) };
  }

  // ---------------------------------------------------------------- processes

  /** Begins the command, disturbs it, and follows its hints to an end. */
  async #disturbed(argv: string[]): Promise<Ran | undefined> {
    const running = this.cluster.begin(argv[0]!, ...argv.slice(1));
    await this.#reached(running);
    if (this.trial.delayMs > 0) await Bun.sleep(this.trial.delayMs);
    await this.#act(running).catch((error: Error) => this.#ends.push(`no act: ${error.message}`));
    const ended = await running.ended();
    const run = /run (\S+)/.exec(ended.stderr)?.[1];
    if (ended.stdout === "") {
      this.#ends.push(`killed (${ended.exit})`);
      // A process that was killed before it had a run has done nothing.
      return run === undefined ? undefined : this.#goOn(run);
    }
    const ran = await running.done();
    this.#judgeEnd(ran);
    return this.#followed(ran);
  }

  /** Resolves when so many steps have begun, or the command has ended. */
  async #reached(running: Running): Promise<void> {
    let over = false;
    void running.ended().finally(() => (over = true));
    await until(
      () => over || (running.stderr.match(/^start /gm)?.length ?? 0) >= this.trial.step,
      (reached) => reached,
      60_000,
    );
  }

  async #act(running: Running): Promise<void> {
    const { act } = this.trial;
    if (act === "kill") return running.signal("SIGKILL");
    if (act.startsWith("interrupt")) {
      running.signal("SIGINT");
      if (act === "interrupt twice") {
        await Bun.sleep(30);
        running.signal("SIGINT");
      }
      return;
    }
    const nodes = await this.cluster.nodes();
    const node = NODES[this.trial.victim];
    if (act === "server dies") return nodes.kill(node, "process");
    if (act === "server restarts") {
      await nodes.stop(node, "immediate");
      if (this.#mayStart(node)) await nodes.start(node);
      return;
    }
    if (act === "server freezes") {
      this.#frozen = node;
      await nodes.freeze(node);
      return;
    }
    await this.#movedBySomebody();
  }

  /** What a person does with pg_ctl: stops the primary, and promotes another standby than the one that the run means. */
  async #movedBySomebody(): Promise<void> {
    const nodes = await this.cluster.nodes();
    const [old] = this.cluster.writable();
    if (old === undefined) throw new Error("there is no primary to move");
    const to = NODES[2] === old ? NODES[1] : NODES[2];
    await nodes.stop(old, "fast");
    if (this.cluster.writable().length > 0) throw new Error("another one is the primary");
    await nodes.exec(to, ["pg_ctl", "promote", "--wait"]);
  }

  #judgeEnd({ exit, envelope, stderr }: Ran): void {
    const { error } = envelope;
    this.#ends.push(`${exit}${error ? ` ${error.code} at ${error.step}: ${error.message}` : ""}`);
    if (error?.code === "internal") this.#problem(`internal: ${error.message}`);
    if (stderr.includes("internal error")) this.#problem(`internal in ${stderr}`);
    if (!EXITS.includes(exit) && error?.code !== "no_target")
      this.#problem(`exit ${exit}: ${error?.code}`);
    if (exit !== 0 && !error?.hint) this.#problem(`exit ${exit} without a hint`);
  }

  async #goOn(run: string, ...flags: string[]): Promise<Ran> {
    const ran = await cli(["resume", run, ...flags], this.cluster.place, { limitMs: LIMIT_MS });
    this.#judgeEnd(ran);
    return this.#followed(ran);
  }

  /** Does what the hint says, for as long as it names a resume. */
  async #followed(ran: Ran): Promise<Ran> {
    const hint = ran.envelope.error?.hint ?? "";
    const [, run] = /pgdba resume (\S+?)[`\s]/.exec(`${hint} `) ?? [];
    if (run === undefined || this.#ends.length >= MAX_PROCESSES) return ran;
    // Whoever is told to mend the cause does so.
    await this.#mendServers();
    const before = this.#ends.length;
    const asks = [...hint.matchAll(/--assume (\S+?)=/g)].map(([, path]) => path!);
    const flags = /tries again/.test(hint) || asks.length === 0 ? [] : this.#answers(asks);
    const next = await this.#goOn(run, ...flags);
    if (this.#ends.length === before) throw new Error("the hint was not followed");
    return next;
  }

  /** The truth, as a person would find it. */
  #answers(paths: string[]): string[] {
    return paths.map((path) => {
      throw new Error(`nobody has said how to find out about ${path}`);
    });
  }

  /** What watches over servers, or a person, does: thaws what stands still, starts what died, but no second primary. */
  async #mendServers(): Promise<void> {
    const nodes = await this.cluster.nodes();
    if (this.#frozen !== undefined) await nodes.thaw(this.#frozen).catch(() => {});
    this.#frozen = undefined;
    if (this.trial.act !== "server dies" && this.trial.act !== "server restarts") return;
    const node = NODES[this.trial.victim];
    const state = await nodes.state(node).catch(() => undefined);
    if (state?.running === "failed" && this.#mayStart(node))
      await nodes.start(node).catch(() => {});
  }

  /** Whoever watches over servers starts no second primary. */
  #mayStart(node: string): boolean {
    const { cluster } = this;
    return (
      existsSync(join(cluster.data(node), "standby.signal")) || cluster.writable().length === 0
    );
  }

  // ---------------------------------------------------------------- create and destroy

  async #create(): Promise<void> {
    const ran = await this.#disturbed(["create", ...this.cluster.settings]);
    if (ran?.exit === 0) await this.#whole();
    else {
      const left = this.cluster.leftovers();
      if (left.length > 0) this.#problem(`left behind: ${left.join("; ")}`);
      const again = await this.cluster.create();
      if (again.exit !== 0) this.#problem(`can't be made anew: ${again.envelope.error?.message}`);
    }
  }

  async #whole(): Promise<void> {
    const streaming = await until(
      () => this.cluster.streaming("pg1").catch(() => []),
      (names) => names.length === 2,
    );
    if (streaming.join() !== "pg2,pg3") this.#problem(`streaming are ${streaming.join()}`);
    if (this.cluster.entry()?.["partial"] !== undefined) this.#problem("it is still partial");
  }

  async #destroy(): Promise<void> {
    const { name } = this.cluster;
    await this.#disturbed(["destroy", `--confirm=${name}`, `--without-backup=${name}`]);
    await this.#mendServers();
    if (this.cluster.entry() !== undefined) {
      // Interrupted before it began, or between its two steps: the same command ends it.
      const again = await this.cluster.destroy();
      if (again.exit !== 0) this.#problem(`can't be removed: ${again.envelope.error?.message}`);
    }
    const left = this.cluster.leftovers();
    if (left.length > 0) this.#problem(`left behind: ${left.join("; ")}`);
  }

  // ---------------------------------------------------------------- changes of a cluster that is there

  async #change(): Promise<void> {
    const { cluster, trial } = this;
    const mark = crypto.randomUUID();
    await until(
      () => cluster.streaming("pg1").catch(() => []),
      (names) => names.length === 2,
    ).catch((error: Error) => {
      throw new Error(`before the trial ${error.message}`);
    });
    await cluster.write("pg1", `before ${mark}`);
    const timeline = cluster.control("pg1")!.timeline;
    const copy = `${cluster.base()!}/copy-${mark}`;
    if (trial.runbook === "restore") {
      const made = await cluster.run("copy", "pg1", "--copy", copy);
      if (made.exit !== 0) throw new Error(`no copy: ${made.envelope.error?.message}`);
      await until(
        () => cluster.streaming("pg1"),
        (names) => names.length === 2,
      );
      await cluster.write("pg1", `after ${mark}`);
    }
    const ran = await this.#disturbed(
      trial.runbook === "move" ? ["move", "pg2"] : [trial.runbook, "pg1", "--copy", copy],
    );
    await this.#mendServers();
    const kept = at(ran?.envelope.error, "run", "kept") !== undefined;
    await this.#oneOrder(ran, kept, copy);
    await this.#judge(ran, { mark, timeline, kept, copy });
  }

  /** After a point of no return the same command brings the rest about; after a server's death a move to the primary mends the standbys. */
  async #oneOrder(ran: Ran | undefined, kept: boolean, copy: string): Promise<void> {
    const { cluster, trial } = this;
    if (kept && trial.runbook === "restore") {
      const again = await cluster.run("restore", "pg1", "--copy", copy);
      if (again.exit !== 0) this.#problem(`not finished: ${again.envelope.error?.message}`);
    }
    const primaries = await until(
      () => cluster.writable(),
      (found) => found.length === 1,
      5_000,
    ).catch(() => []);
    const [primary] = primaries;
    if (primary === undefined) {
      this.#problem(`there is no primary after exit ${ran?.exit}`);
      return;
    }
    // It shows that the lock is free as well, and that the registry knows the primary.
    const settled = await cluster.run("move", primary);
    if (settled.exit !== 0) {
      const { code, message } = settled.envelope.error!;
      this.#problem(`a move to ${primary}, the primary: ${code}: ${message}`);
    }
    const registered = await cluster.registered();
    if (registered !== primary) this.#problem(`${registered} is registered, ${primary} is it`);
  }

  async #judge(
    ran: Ran | undefined,
    { mark, timeline, kept, copy }: { mark: string; timeline: number; kept: boolean; copy: string },
  ): Promise<void> {
    const { cluster, trial } = this;
    const [primary] = cluster.writable();
    if (primary === undefined) return;
    const isDone = ran?.exit === 0 || kept;
    const moved = trial.act === "somebody moves it";
    if (!moved && trial.runbook === "move" && primary !== (isDone ? "pg2" : "pg1"))
      this.#problem(`${isDone ? "done" : "undone"}, and ${primary} is the primary`);
    const values = await cluster.values(primary);
    if (!values.includes(`before ${mark}`)) this.#problem("an acknowledged row is lost");
    const hasLater = values.includes(`after ${mark}`);
    if (trial.runbook === "restore" && hasLater === isDone && !moved)
      this.#problem(`${isDone ? "done" : "undone"}, and the later row is ${hasLater}`);
    await cluster.ask(primary, "CHECKPOINT");
    const now = cluster.control(primary)!.timeline;
    const most = (isDone && trial.runbook !== "copy" ? 1 : 0) + (moved ? 1 : 0);
    if (trial.runbook !== "restore" && now > timeline + most)
      this.#problem(`timeline ${timeline} became ${now}`);
    if (trial.runbook === "copy") {
      const there = await (await cluster.nodes()).exec("pg1", ["test", "-e", copy]);
      if ((there.exit_code === 0) !== isDone) this.#problem(`the copy is there: ${!isDone}`);
    }
    const aside = await (
      await cluster.nodes()
    ).exec("pg1", ["sh", "-c", `rm -rf "${copy}"; ls -d "$PGDATA".before-*`]);
    const sides = aside.stdout.trim().split("\n").filter(Boolean);
    if (trial.runbook !== "restore" || !isDone) {
      if (sides.length > 0 && trial.runbook === "restore" && !isDone)
        this.#problem(`data is still aside: ${sides.join()}`);
    } else if (sides.length === 0) this.#problem("the old data was not kept");
    await (await cluster.nodes()).exec("pg1", ["sh", "-c", 'rm -rf "$PGDATA".before-*']);
  }
}
