/** What is done with backups, where it begins, and what must be there afterwards. */
import { at, cli, runId } from "../e2e/support.ts";
import { type Crashed, NODE, STANDBY } from "./crashed-cluster.ts";

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

export const wrong = (holds: boolean, what: string): string[] => (holds ? [] : [what]);

/** No increment is left, newest first: the restore of one takes a program that embedded servers lack. */
async function withoutIncrements(it: Crashed): Promise<void> {
  for (const one of (await it.list()).backups)
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
  verify: {
    words: async (it) => ["backup", "verify", (await it.list()).backups[0].id],
  },
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
      await it.well("resume", runId(confirm), "--confirm=shop");
      await it.full();
      return [
        ...problems,
        ...wrong(it.aside().length === 0, "the data before is there after it was confirmed"),
      ];
    },
  },
  copy: {
    async prepare(it) {
      await withoutIncrements(it);
      // What an earlier trial has left was told by it.
      if (it.copy.entry()) await it.copy.destroy();
    },
    async words(it) {
      counted = it.parts().length;
      const point = await it.point();
      await it.archived();
      const named = ["--to-new-cluster", "copy", "--replicas", "1", "--target-name", point];
      return ["backup", "restore", ...named];
    },
    jobs: ["fetch", "recover"],
    async judge(it, done) {
      const { copy } = it;
      const problems = wrong((await count(it)) === it.rows, "the original has other rows");
      if (!done)
        return [
          ...problems,
          ...wrong(copy.leftovers().length === 0, `left of it: ${copy.leftovers().join()}`),
          ...wrong(it.parts().length === counted, "a part of the repository is left of it"),
        ];
      const [[rows]] = (await copy.ask(NODE, "select count(*)::int from kept")) as [[number]];
      const standbys = await copy.streaming(NODE);
      const holes = await cli(["backup", "gaps", "--cluster", "copy"], it.shop.place);
      problems.push(
        ...wrong(rows === it.restored, `the new cluster has ${rows} rows`),
        ...wrong(standbys.join() === STANDBY, `standbys of it: ${standbys.join()}`),
        ...wrong(copy.entry()?.["partial"] === undefined, "it is still partial"),
        ...wrong(at(holes.envelope.data, "continuous") === true, "its archive has a hole"),
        ...wrong(it.parts().length === counted + 1, "it has no part of its own, or several"),
      );
      const { exit, envelope } = await copy.destroy();
      return [...problems, ...wrong(exit === 0, `destroy: ${JSON.stringify(envelope.error)}`)];
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
      it.chosen = ids.at(-2)!;
      return ["backup", "delete", it.chosen];
    },
    async judge(it, done) {
      const { backups } = await it.list();
      const there = backups.some(({ id }: any) => id === it.chosen);
      return wrong(!done || !there, "it is listed still");
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
