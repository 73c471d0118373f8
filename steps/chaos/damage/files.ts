import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import type { Piece } from "./page.ts";

/** What stands on a node for whoever looks after the damage, without the journal: the copy, and how to tell that the damage is gone. */
export interface Mark {
  /** The data directory. */
  data: string;
  piece: Piece;
  /** Of a file that was cut: its size since. Else the digest of the piece as it was damaged. */
  cutTo: number | null;
  digest: string;
  /** Holds what was there before. */
  copy: string;
  /** The advice for people. */
  told: string;
}

/** A file that was cut may have grown since: what was there is gone all the same, until it is as long as it was. */
const IS_DAMAGED = `damaged() {
  if [ "$CUT" != none ]; then
    now=$(stat -c %s "$FILE" 2>/dev/null) || return 1
    gone=$(stat -c %s "$COPY" 2>/dev/null) || gone=1
    [ "$now" -ge "$CUT" ] && [ "$now" -lt $((CUT + gone)) ]
    return
  fi
  [ "$(dd if="$FILE" bs="$SIZE" skip="$NUMBER" count=1 2>/dev/null | sha256sum | cut -c 1-64)" = "$DIGEST" ]
}
`;
/** The healer can repair no data: it tells whether the damage is there still. */
const LOOK = `${IS_DAMAGED}if damaged; then printf '%s\\n' "$TOLD" >&2; exit 1; fi
rm -f "$COPY"`;
const KEEP = `umask 077
dd if="$FILE" of="$COPY" bs="$SIZE" skip="$NUMBER" \${COUNT:+count=$COUNT} conv=fsync status=none`;
const CUT = `truncate -s "$CUT" "$FILE" && sync "$FILE"`;
const WRITE = `dd of="$FILE" bs="$SIZE" seek="$NUMBER" iflag=fullblock conv=notrunc,fsync status=none`;
/** What was written since is not written over. */
const PUT_BACK = `${IS_DAMAGED}damaged || exit 0
[ -f "$COPY" ] || { echo "its copy $COPY is gone" >&2; exit 1; }
if [ "$CUT" != none ]; then
  [ "$(stat -c %s "$FILE")" = "$CUT" ] || { echo "$FILE was written to since it was cut: make the node anew from another one" >&2; exit 1; }
  cat "$COPY" >> "$FILE" && sync "$FILE"
  exit
fi
dd if="$COPY" of="$FILE" bs="$SIZE" seek="$NUMBER" conv=notrunc,fsync status=none`;

function envOf({ data, piece, cutTo, digest, copy, told }: Mark): Record<string, string> {
  return {
    FILE: `${data}/${piece.file}`,
    NUMBER: String(piece.number),
    SIZE: String(piece.size),
    CUT: cutTo === null ? "none" : String(cutTo),
    COUNT: cutTo === null ? "1" : "",
    DIGEST: digest,
    COPY: copy,
    TOLD: told,
  };
}

/** Ends well when the damage is there no more, and says what to do otherwise. */
export const lookAt = (node: string, mark: Mark) => ({
  on: node,
  argv: ["sh", "-c", LOOK],
  env: envOf(mark),
  repair: mark.told,
});

/** The copy is on disk before anything is damaged. */
export const keepCopy = (nodes: Nodes, node: string, mark: Mark) => script(nodes, node, KEEP, mark);

/** Cuts the file, or writes the piece over. Twice is the same as once. */
export const damage = (nodes: Nodes, node: string, mark: Mark, page: Uint8Array) =>
  mark.cutTo === null ? script(nodes, node, WRITE, mark, page) : script(nodes, node, CUT, mark);

/** Writes the copy back, unless it is another thing by now. */
export const putBack = (nodes: Nodes, node: string, mark: Mark) =>
  script(nodes, node, PUT_BACK, mark);

export async function isDamaged(nodes: Nodes, node: string, mark: Mark): Promise<boolean> {
  const { exit_code } = await nodes.exec(node, ["sh", "-c", `${IS_DAMAGED}damaged`], {
    env: envOf(mark),
  });
  return exit_code === 0;
}

/** @throws PgdbaError command_failed */
async function script(
  nodes: Nodes,
  node: string,
  text: string,
  mark: Mark,
  stdin?: Uint8Array,
): Promise<void> {
  const done = await nodes.exec(node, ["sh", "-c", text], {
    env: envOf(mark),
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (done.exit_code === 0) return;
  throw new PgdbaError(
    "command_failed",
    `${mark.piece.file} on ${node} can't be worked on: ${done.stderr.trim() || `exit code ${done.exit_code}`}`,
    { hint: "Look at the disk of the node, and at who owns the file." },
  );
}

/** The bytes of a piece as they are on disk. @throws PgdbaError command_failed */
export async function readPiece(
  nodes: Nodes,
  node: string,
  data: string,
  { file, number, size }: Piece,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const argv = ["dd", `if=${data}/${file}`, `bs=${size}`, `skip=${number}`, "count=1"];
  const { exit_code, stderr } = await nodes.exec(node, [...argv, "status=none"], {
    onStdout: (bytes) => void parts.push(bytes.slice()),
  });
  const page = new Uint8Array(Buffer.concat(parts));
  if (exit_code === 0 && page.length === size) return page;
  throw new PgdbaError(
    "command_failed",
    `Piece ${number} of ${file} on ${node} can't be read: ${stderr.trim() || `${page.length} of ${size} bytes`}`,
    { hint: "It may have been removed meanwhile: give the same command again." },
  );
}
