export type Shell = "bash" | "zsh" | "fish";

/** A script for the shell's start-up file: it asks `pgdba __complete` with the words typed so far. */
export function completion(shell: Shell): string {
  return SCRIPTS[shell];
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  // Splitting the line anew keeps `--flag=value` one word; readline itself breaks it at `=` and expects the rest only.
  bash: `# pgdba completion for bash: source <(pgdba completion bash)
_pgdba() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=() word prefix=""
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  word="\${words[\${#words[@]}-1]}"
  if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then prefix="\${word%%=*}="; fi
  COMPREPLY=()
  local proposal
  while IFS= read -r proposal; do
    if [[ "$proposal" == ":files" ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r proposal; do COMPREPLY+=("$proposal"); done < <(compgen -f -- "\${word#*=}")
      break
    fi
    proposal="\${proposal%%$'\\t'*}"
    COMPREPLY+=("\${proposal#"$prefix"}")
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _pgdba pgdba 2>/dev/null || complete -F _pgdba pgdba
`,
  zsh: `#compdef pgdba
# pgdba completion for zsh: source <(pgdba completion zsh)
_pgdba() {
  local -a lines words_only shown
  local line
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${lines[1]}" == ":files" ]]; then
    compset -P '*='
    _files
    return
  fi
  for line in $lines; do
    words_only+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  compadd -l -V pgdba -d shown -a -- words_only
}
compdef _pgdba pgdba
`,
  fish: `# pgdba completion for fish: pgdba completion fish | source
function __pgdba_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$lines[1]" = ":files"
        set -l typed (commandline -ct)
        set -l value (string replace -r '^--[^=]*=' '' -- $typed)
        set -l prefix (string sub -l (math (string length -- $typed) - (string length -- $value)) -- $typed)
        for file in (__fish_complete_path $value)
            echo $prefix$file
        end
    else
        printf '%s\\n' $lines
    end
end
complete -c pgdba -f -k -a '(__pgdba_complete)'
`,
};
