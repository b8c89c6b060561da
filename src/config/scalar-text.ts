/** True for a text that would be a number if it stood in YAML without quotes. */
export function isNumberText(text: string): boolean {
  return /^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$/.test(text)
}

/** True for a text that would be true or false if it stood in YAML without quotes. */
export function isSwitchText(text: string): boolean {
  return /^(true|True|TRUE|false|False|FALSE)$/.test(text)
}
