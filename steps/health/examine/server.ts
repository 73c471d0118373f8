import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { nodeMachine } from "../../node-files.ts";
import { another, session } from "../../sql/session.ts";
import { again, type Open } from "../../sql/again.ts";

/** The server that is examined: that of the run, or one member of its cluster. */
export interface Server {
  open: Open;
  host: string;
  /** What its node may use, where that is known. */
  node: Awaited<ReturnType<typeof nodeMachine>>;
  /** A session in another database; the caller closes it. */
  another(database: string): Promise<PgSession>;
  close(): Promise<void>;
}

/** @throws PgdbaError invalid_param when there is no such member | connection_failed */
export async function serverOf(ctx: StepContext, member: string | undefined): Promise<Server> {
  if (member === undefined) {
    const { host } = (await ctx.use("postgres")).spec;
    return {
      open: () => again(() => session(ctx)),
      host,
      node: await nodeMachine(ctx),
      another: (database) => another(ctx, database),
      close: () => Promise.resolve(),
    };
  }
  const access = await ctx.use("member");
  const { host } = await access.place(member);
  let pg: PgSession | undefined;
  return {
    async open() {
      if (pg?.alive() !== true) pg = await again(() => access.open(member));
      return pg;
    },
    host,
    node: null,
    another: (database) => access.open(member, database),
    close: async () => pg?.close(),
  };
}
