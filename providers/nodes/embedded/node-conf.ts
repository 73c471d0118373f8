import { join } from "node:path";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import { type Home, HOST, type NodeRecord, type Place } from "./home.ts";
import { socketDirFits } from "./server.ts";

/** Writes the settings of this node alone: beside the data directory, so that a copy of the one brings nothing of the other. */
export async function writeNodeConf(home: Home, at: Place, record: NodeRecord): Promise<void> {
  const own = {
    cluster_name: record.node,
    port: record.port,
    listen_addresses: HOST,
    unix_socket_directories: socketDirFits(at.socket) ? at.socket : "",
  };
  const lines = Object.entries(own).map(([key, value]) => `${key} = '${quoted(String(value))}'\n`);
  const owner = home.user ?? undefined;
  await writeWhole(join(at.dir, "node.conf"), lines.join(""), { owner });
}

const quoted = (value: string): string => value.replaceAll("'", "''");
