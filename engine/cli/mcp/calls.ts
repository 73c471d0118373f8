import { replaceCommands } from "../hints/commands-in.ts";
import { shellWords } from "../../shared/shell-words.ts";
import { callOf, type Door, type ToolCall } from "./call.ts";

/**
 * A whole text that is one command as a call; null for any other text, and for a command that only a person can give: on another target than the one that is
 * fixed, with a file of the machine, or of pgdba's own.
 */
export function callOfCommand(text: string, door: Door): Omit<ToolCall, "gaps"> | null {
  const words = shellWords(text, 0);
  if (words[0]?.word !== "pgdba" || words.at(-1)?.end !== text.length) return null;
  const said = words.slice(1).map(({ word }) => word);
  const call = callOf(said, door, { exact: true, isProse: false });
  return call && { tool: call.tool, arguments: call.arguments };
}

/** The text with each command in it that is one of the tools' as the tool with its arguments. */
export function withCalls(text: string, door: Door): string {
  return replaceCommands(text, (words, reading) => {
    const call = callOf(words, door, reading);
    if (call === null) return null;
    const said = `${call.tool} ${JSON.stringify(call.arguments)}`;
    return call.gaps.length === 0 ? said : `${said} (fill in ${call.gaps.join(", ")} first)`;
  });
}
