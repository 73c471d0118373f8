/** Runs on backups of a real cluster that are killed, or whose work beside the data is, and what is really there afterwards. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { folderOf } from "../../steps/backup/restore/scratch.ts";
import { at, cli, type Ran, removePlaces, runId, Running } from "../e2e/support.ts";
import { KILLED, runIn } from "./live.ts";
import { LIMIT_MS, Rehearsed } from "./rehearsed.ts";

const KILL_AT = join(import.meta.dir, "kill-at.ts");
const NODE = "pg1";
/** A run that asks a person has ended with it. */
const WAITS = 4;

export interface BackupAct {
  /** Brings the cluster to where the act begins. */
  prepare?(it: Crashed): Promise<void>;
  words(it: Crashed): Promise<string[]>;
  /** The jobs that it starts on the node. */
  jobs?: string[];
  /** It removes backups: those that stay are read once more. */
  removes?: true;
  /** What is wrong once it has been done, or taken back. */
  judge?(it: Crashed, done: boolean): Promise<string[]>;
}

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

const wrong = (holds: boolean, what: string): string[] => (holds ? [] : [what]);

/** A cluster of one server with a repository, backups and rows. */
export class Crashed {
  readonly shop = new Rehearsed("shop");
  readonly folder = join(this.shop.place.root, "backups");
  readonly version: number;
  /** Rows that were acknowledged, and the highest of them that a restore brings back. */
  rows = 0;
  restored = 0;
  base = "";
  #point = 0;

  constructor(version: number) {
    this.version = version;
  }

  argv = (...words: string[]) => [...words, "--cluster", "shop", "--format", "json", "--yes"];
  run = (...words: string[]): Promise<Ran> =>
    cli(this.argv(...words), this.shop.place, { limitMs: LIMIT_MS });
  async well(...words: string[]): Promise<any> {
    const { envelope, exit, stderr } = await this.run(...words);
    if (envelope.success) return envelope.data;
    throw new Error(
      `${words.join(" ")}: exit ${exit}: ${JSON.stringify(envelope.error)}\n${stderr.slice(-1500)}`,
    );
  }
  sql = async (text: string) => (await this.shop.ask(NODE, text))[0]?.[0];

  async begin(): Promise<void> {
    const nodes = ["--nodes", JSON.stringify([NODE]), "--pg-version", String(this.version)];
    const made = await this.shop.create(...nodes);
    if (made.exit !== 0) throw new Error(JSON.stringify(made.envelope.error));
    await this.sql("create table kept (id int primary key)");
    await this.setup();
    this.base = (await this.well("backup", "create"))["backup_id"] as string;
  }

  setup = () => this.well("backup", "setup", "--repository", this.folder, "--restart");

  async end(): Promise<void> {
    if (this.shop.entry()) await this.shop.destroy();
    await this.shop.close();
    removePlaces();
  }

  /** One more row that the server acknowledged. */
  async write(): Promise<void> {
    this.rows += 1;
    await this.sql(`insert into kept values (${this.rows})`);
  }

  /** A restore point, and rows after it. */
  async point(): Promise<string> {
    await this.write();
    const name = `p${++this.#point}-${Date.now()}`;
    await this.sql(`select pg_create_restore_point('${name}')`);
    this.restored = this.rows;
    await this.write();
    return name;
  }

  data = () => this.shop.data(NODE);
  beside = () => readdirSync(dirname(this.data()));
  aside = () => this.beside().filter((name) => name.startsWith("data.before-"));

  list = () => this.well("backup", "list");
  full = async (): Promise<string> => (await this.well("backup", "create"))["backup_id"];

  /** Processes of work beside the data, by the folder of this cluster in their environment. */
  workers(job: string): number[] {
    const base = this.shop.base()!;
    return readdirSync("/proc").flatMap((name) => {
      try {
        const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        if (!/^\d+$/.test(name) || argv[argv.indexOf("work") + 1] !== job) return [];
        const environ = readFileSync(`/proc/${name}/environ`, "utf8");
        return environ.includes(base) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  }

  /** Servers that run on a scratch folder of this cluster, and folders that any run has left. */
  left(run: string | undefined): string[] {
    const base = this.shop.base()!;
    const servers = readdirSync("/proc").flatMap((name) => {
      try {
        const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        const isScratch =
          argv[1] === "-D" && argv[2]!.startsWith(`${base}/`) && argv[2] !== this.data();
        return isScratch ? [`a server on ${argv[2]}`] : [];
      } catch {
        return [];
      }
    });
    const folders = this.beside().filter((name) => name.startsWith("scratch-"));
    const sockets = run === undefined ? [] : [folderOf(run)].filter(existsSync);
    return [...servers, ...folders, ...sockets];
  }
}

const newestFull = async (it: Crashed): Promise<string> => {
  const { backups } = await it.list();
  return backups
    .filter((one: any) => one.type === "full")
    .map((one: any) => one.id)
    .toSorted()
    .at(-1);
};

/** No increment is left: the restore of one takes a program that embedded servers lack. */
async function withoutIncrements(it: Crashed): Promise<void> {
  for (const one of (await it.list()).backups.toReversed())
    if (one.type === "incremental") await it.well("backup", "delete", one.id);
}

/** What the server does is what its settings say; one that archives has a command. */
async function agrees(it: Crashed): Promise<string[]> {
  const mode = await it.sql("show archive_mode");
  const said = await it.sql("select pending_restart from pg_settings where name = 'archive_mode'");
  const command = await it.sql("select reset_val from pg_settings where name = 'archive_command'");
  return [
    ...wrong(
      !(mode === "off" && said === true),
      "it does not archive, and its settings say that it does",
    ),
    ...wrong(
      mode === "off" || command !== "",
      "WAL is kept for ever: archive_mode is on, without a command",
    ),
  ];
}

const count = (it: Crashed) => it.sql("select count(*)::int from kept");
let counted = 0;
const create = (...more: string[]): BackupAct => ({
  async prepare(it) {
    await it.write();
    counted = (await it.list()).backups.length;
  },
  words: async () => ["backup", "create", ...more],
  async judge(it, done) {
    const { backups, unfinished } = await it.list();
    // The record may have been written when it was killed: then it is a backup.
    const more = backups.length - counted;
    return [
      ...wrong(done ? more === 1 : more <= 1, `${more} more backups, ${done ? "done" : "undone"}`),
      ...wrong(unfinished.length === 0, `unfinished: ${JSON.stringify(unfinished)}`),
    ];
  },
});

export const BACKUP_ACTS: Record<string, BackupAct> = {
  full: create(),
  incremental: create("--type", "incremental"),
  logical: create("--type", "logical"),
  verify: { words: async (it) => ["backup", "verify", await newestFull(it)] },
  drill: {
    prepare: withoutIncrements,
    words: async () => ["backup", "drill"],
    jobs: ["fetch", "recover"],
  },
  restore: {
    prepare: withoutIncrements,
    words: async (it) => [
      "backup",
      "restore",
      "--in-place",
      "--target-name",
      await it.point(),
      "--confirm=shop",
    ],
    jobs: ["fetch", "recover"],
    async judge(it, ended) {
      const now = await count(it);
      // One that is given up after the restored server has begun to take writes is not taken back any more.
      const done = ended || it.aside().length > 0;
      const problems = wrong(
        now === (done ? it.restored : it.rows),
        `${now} rows, ${done ? "done" : "undone"}`,
      );
      problems.push(
        ...wrong(
          it.aside().length <= 1 && it.aside().length === (done ? 1 : 0),
          `aside: ${it.aside().join()}`,
        ),
      );
      if (!done) return problems;
      it.rows = it.restored;
      const confirm = await it.run("backup", "restore-confirm", NODE);
      await it.well("resume", runId(confirm));
      await it.full();
      return [
        ...problems,
        ...wrong(it.aside().length === 0, "the data before is there after it was confirmed"),
      ];
    },
  },
  delete: {
    removes: true,
    async prepare(it) {
      await withoutIncrements(it);
      await it.full();
      await it.full();
    },
    async words(it) {
      const ids = (await it.list()).backups
        .filter((one: any) => one.type === "full")
        .map((one: any) => one.id)
        .toSorted();
      return ["backup", "delete", ids.at(-2)];
    },
  },
  expire: {
    removes: true,
    async prepare(it) {
      await withoutIncrements(it);
      await it.full();
      await it.full();
    },
    words: async () => ["backup", "expire", "--keep-full", "1", "--more-than-half"],
    async judge(it, done) {
      const { backups } = await it.list();
      return wrong(
        !done || backups.filter((one: any) => one.type === "full").length === 1,
        "it kept more than one",
      );
    },
  },
  setup: {
    prepare: async (it) => void (await it.well("backup", "off", "--restart")),
    words: async (it) => ["backup", "setup", "--repository", it.folder, "--restart"],
    async judge(it, done) {
      const problems = await agrees(it);
      if (!done) await it.setup();
      return problems;
    },
  },
  off: {
    words: async () => ["backup", "off", "--restart"],
    judge: async (it, done) => {
      const problems = wrong(!done || (await it.sql("show archive_mode")) === "off", "it archives");
      problems.push(...(await agrees(it)));
      await it.setup();
      return problems;
    },
  },
};

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
    await act.judge?.(it, true);
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
      let ended = await it.run("resume", id, ...(givesUp ? ["--give-up"] : []));
      // It has come to its question, and the next one is the yes.
      if (ended.exit === WAITS) ended = await it.run("resume", id);
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
    return (await cli(["runs", id, "--format", "json"], this.it.shop.place)).envelope.data;
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
    const second = this.#begin(["resume", runIn(ran.stderr)!], env);
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

  /** What is listed as a backup can be read back, all of it. */
  async #listed(again = false): Promise<string[]> {
    const { it } = this;
    const { backups } = await it.list();
    const problems: string[] = [];
    for (const { id } of backups) {
      if (this.#read.has(id) && !again) continue;
      const { exit, envelope } = await it.run("backup", "verify", id);
      if (exit === 0) this.#read.add(id);
      else problems.push(`${id} is listed: ${JSON.stringify(envelope.error)}`);
    }
    return problems;
  }

  /** The server runs, takes writes, and archives; or it does not archive because it was told so. */
  async #whole(): Promise<string[]> {
    const { it } = this;
    try {
      const mode = await it.sql("show archive_mode");
      if (mode === "off") return [];
      const { missing } = await it.well("backup", "gaps");
      return wrong((missing ?? []).length === 0, `gaps: ${JSON.stringify(missing)}`);
    } catch (error) {
      return [`the server: ${(error as Error).message}`];
    }
  }
}
