/** A real cluster on which runs on backups are killed, and what is really there of it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { folderOf } from "../../steps/backup/restore/scratch.ts";
import { cli, type Ran, removePlaces } from "../e2e/support.ts";
import { LIMIT_MS, Rehearsed, until } from "./rehearsed.ts";

export const NODE = "pg1";
export const STANDBY = "pg2";

/** A cluster of a primary and a standby with a repository, backups and rows. */
export class Crashed {
  readonly shop = new Rehearsed("shop");
  /** A new cluster that is made from its backups. */
  readonly copy = new Rehearsed("copy", this.shop.place);
  readonly folder = join(this.shop.place.root, "backups");
  readonly version: number;
  /** Rows that were acknowledged, and the highest of them that a restore brings back. */
  rows = 0;
  restored = 0;
  base = "";
  /** The backup that the act is about, where it is about one. */
  chosen = "";
  #point = 0;

  constructor(version: number) {
    this.version = version;
  }

  argv = (...words: string[]) => [
    ...words,
    "--cluster",
    "shop",
    "--format",
    "json",
    "--yes",
    "--full",
  ];
  run = (...words: string[]): Promise<Ran> =>
    cli(this.argv(...words), this.shop.place, { limitMs: LIMIT_MS });
  /** By its id alone: it may work on another cluster. */
  resume = (id: string, ...more: string[]): Promise<Ran> =>
    cli(["resume", id, ...more, "--format", "json"], this.shop.place, { limitMs: LIMIT_MS });
  async well(...words: string[]): Promise<any> {
    const { envelope, exit, stderr } = await this.run(...words);
    if (envelope.success) return envelope.data;
    throw new Error(
      `${words.join(" ")}: exit ${exit}: ${JSON.stringify(envelope.error)}\n${stderr.slice(-1500)}`,
    );
  }
  sql = async (text: string) => (await this.shop.ask(NODE, text))[0]?.[0];

  async begin(): Promise<void> {
    const nodes = [
      "--nodes",
      JSON.stringify([NODE, STANDBY]),
      "--pg-version",
      String(this.version),
    ];
    const made = await this.shop.create(...nodes);
    if (made.exit !== 0) throw new Error(JSON.stringify(made.envelope.error));
    await this.sql("create table kept (id int primary key)");
    await this.setup();
    this.base = (await this.well("backup", "create"))["backup_id"] as string;
  }

  setup = () => this.well("backup", "setup", "--repository", this.folder, "--restart");

  async end(): Promise<void> {
    for (const one of [this.copy, this.shop]) {
      if (one.entry()) await one.destroy();
      await one.close();
    }
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

  /** All that is written up to now is in the repository. */
  async archived(): Promise<void> {
    const file = String(await this.sql("select pg_walfile_name(pg_switch_wal())"));
    const last = "select coalesce(last_archived_wal, '') from pg_stat_archiver";
    await until(
      () => this.sql(last),
      (name) => String(name) >= file,
      60_000,
    );
  }

  data = () => this.shop.data(NODE);
  beside = (node = NODE) => readdirSync(dirname(this.shop.data(node)));
  aside = () => this.beside().filter((name) => name.startsWith("data.before-"));

  list = () => this.well("backup", "list", "--all");
  /** The parts of the repository: one for each cluster that archives there. */
  parts(): string[] {
    const { system_identifier: id } = this.shop.entry()!;
    return readdirSync(join(this.folder, String(id), String(this.version)));
  }

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
    const data = [NODE, STANDBY].map((node) => this.shop.data(node));
    const servers = readdirSync("/proc").flatMap((name) => {
      try {
        const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        const isScratch =
          argv[1] === "-D" && argv[2]!.startsWith(`${base}/`) && !data.includes(argv[2]!);
        return isScratch ? [`a server on ${argv[2]}`] : [];
      } catch {
        return [];
      }
    });
    const folders = [NODE, STANDBY].flatMap((node) =>
      this.beside(node).filter(
        (name) => name.startsWith("scratch-") || (node !== NODE && name.includes("before-")),
      ),
    );
    const sockets = run === undefined ? [] : [folderOf(run)].filter(existsSync);
    return [...servers, ...folders, ...sockets];
  }
}
