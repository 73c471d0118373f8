import { PgdbaError } from "../../../engine/errors.ts";
import type { At } from "./at.ts";
import { ask, type Engine } from "./engine.ts";
import { PASSFILE, PGDATA, PORT } from "./roles.ts";
import { textsIn } from "./tar.ts";

export interface Account {
  name: string;
  uid: number;
  gid: number;
}

const perContainer = new Map<string, Promise<Account[]>>();

/** The accounts that a container's image has; it need not run. */
export function accountsIn(engine: Engine, id: string): Promise<Account[]> {
  let found = perContainer.get(id);
  if (found === undefined) {
    found = readAccounts(engine, id);
    perContainer.set(id, found);
    found.catch(() => perContainer.delete(id));
  }
  return found;
}

async function readAccounts(engine: Engine, id: string): Promise<Account[]> {
  const archive = await ask(engine, "read the accounts of a container", () =>
    engine.docker.getContainer(id).getArchive({ path: "/etc/passwd" }),
  );
  const parts: Buffer[] = [];
  for await (const part of archive as AsyncIterable<Buffer>) parts.push(part);
  const text = textsIn(Buffer.concat(parts)).get("passwd") ?? "";
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid, gid] = line.split(":");
    return name === "" ? [] : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}

/** An account of the node. @throws PgdbaError unsupported */
export async function accountOn({ cluster, record }: At, user: string): Promise<Account> {
  const accounts = await accountsIn(cluster.engine, record.id);
  const found = accounts.find(({ name, uid }) => name === user || String(uid) === user);
  if (found !== undefined) return found;
  throw new PgdbaError("unsupported", `There is no account ${user} on ${record.node}`, {
    hint: "Name one of its /etc/passwd, or none for the account that its service runs as.",
    nothingDone: true,
  });
}

/** The environment of a program on a node, beside that of its image: the way to its server for libpq. */
export function nodeEnv({ record, layout }: Pick<At, "record" | "layout">): Record<string, string> {
  const own = { HOME: layout.home, LANG: "C.UTF-8", LC_ALL: "C.UTF-8" };
  if (record.role !== "postgres") return own;
  return {
    ...own,
    PGDATA,
    PGHOST: "127.0.0.1",
    PGPORT: String(PORT.postgres),
    PGUSER: record.spec.superuser,
    PGDATABASE: "postgres",
    PGPASSFILE: PASSFILE,
  };
}
