import { toPgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { readFollowConfig } from "./follow/config.ts";
import { Follower } from "./follow/follower.ts";
import { listen } from "./follow/serve.ts";

export default defineStep({
  type: "pgbouncer.follow",
  summary: "Own the route and the pause of one PgBouncer, until the run is interrupted",
  docs: `Runs beside one PgBouncer, and asks \`/primary\` of every Patroni member five times a second. New transactions go to the member that
answers 200 and takes writes; of several, to the one on the newest timeline. A member that says that it does not lead gets nobody any more, and clients
wait; one that says nothing keeps them until Patroni's ttl is over, then they are cut off and wait. A new primary gets them at once, and whoever
still hangs at the old one is cut off: those alone from PgBouncer 1.24 on, before that all clients of the database.

It is asked by HTTP, with the user and password of PgBouncer's admin (Basic): \`GET /status\`; \`POST /pause {"holder", "cap_ms", "wait_ms",
"until_primary"}\`, which answers 200 when no transaction is open any more, 409 with how many are still open after \`wait_ms\` (clients go on then), 423
with the holder when another holds clients back, 503 when PgBouncer does not answer; \`POST /resume {"holder"}\`, which sends clients to the primary of now. At its cap a pause
ends by itself, whoever asked, and sooner as soon as the member \`until_primary\`, where one is named, leads on a later timeline: clients go there at once. After a restart of the follower or of PgBouncer nothing is paused: have whatever starts it start it again when it dies.

Nobody else may write the file of the route, nor use PAUSE, RESUME or KILL on that console. See [authoring](authoring.md#pgbouncer-and-its-follower) for its configuration.
With \`--plan\` it only reads that.`,
  example: `- pgbouncer.follow: {file: /etc/pgdba/follow.json}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  interruptible: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["file"],
    properties: {
      file: { type: "string", minLength: 1, description: "Its configuration" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    properties: {},
    description: "None: it ends only by being interrupted",
  },
  async plan(ctx, { file }) {
    const { members, listen: at, route } = readFollowConfig(file);
    return {
      members: members.map(({ name }) => name),
      listen: { host: at.host, port: at.port },
      route: route.file,
    };
  },
  // Whatever was paused, was not by this one: a follower lets clients go when it begins.
  probe: async () => ({ state: "not_done" }),
  async run(ctx, { file }) {
    const config = readFollowConfig(file);
    ctx.secret(config.console.password);
    const { clock, signal } = ctx;
    const log = (message: string, level?: "info" | "warn") => ctx.log(message, level);
    const follower = new Follower(config, { clock, signal, log, now: () => clock.now() });
    const server = listen(follower, config, log);
    try {
      log(`listening on ${config.listen.host}:${server.port}`);
      await follower.run();
    } finally {
      await server.stop();
    }
    throw toPgdbaError(signal.reason, "interrupted");
  },
});
