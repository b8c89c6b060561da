import { DETECTOR_NAMES } from '../../src/detect/finding.ts'

/** A file with a mistake, and what is said about it after `alerts.yaml:`. The variable SECRET is set to hunter2. */
export interface Mistake {
  readonly file: string
  readonly says: readonly string[]
}

const UNFOLDING = `version: 1
x0: &x0 [a, a, a, a, a, a, a, a, a]
${[1, 2, 3, 4, 5, 6, 7]
  .map(
    (n) =>
      `x${n}: &x${n} [${Array(9)
        .fill(`*x${n - 1}`)
        .join(', ')}]`,
  )
  .join('\n')}
`

/** Every mistake by name. `hunter2` stands for a secret: nothing that is said may hold it. */
export const MISTAKES: Readonly<Record<string, Mistake>> = {
  // The file as YAML
  'an empty file': {
    file: ``,
    says: ['1:1: the configuration is empty; it needs at least: version: 1'],
  },
  'a file of comments': {
    file: `# nothing yet
`,
    says: ['1:1: the configuration is empty; it needs at least: version: 1'],
  },
  'a list instead of settings': {
    file: `- version: 1
`,
    says: ['1:1: expected a map of settings (key: value), got a list'],
  },
  'a text instead of settings': {
    file: `keyhound
`,
    says: ['1:1: expected a map of settings (key: value), got "keyhound"'],
  },
  'a tab as indentation': {
    file: `version: 1
notify:
	group_wait: 5s
`,
    says: ['3:1: a tab cannot indent YAML; use spaces'],
  },
  'a key twice': {
    file: `version: 1
notify: { group_wait: 5s }
notify: { group_wait: 6s }
`,
    says: ['3:1: this key is here twice; keep one of the two'],
  },
  'an unclosed quote': {
    file: `version: 1
links:
  base_url: "https://example.com
`,
    says: [
      '4:1: something is missing here: a closing quote, a closing } or ], a comma, or a space after ":"',
    ],
  },
  'an unclosed bracket': {
    file: `version: 1
notify: { group_wait: 5s
`,
    says: [
      '3:1: wrong indentation, or a bracket or quote above that is not closed; settings of one section start in the same column',
    ],
  },
  'wrong indentation': {
    file: `version: 1
notify:
  group_wait: 5s
   repeat_interval: 4h
`,
    says: [
      '3:15: a map or list cannot start here; check the indentation of the next line, and put a text that holds ": " in quotes',
    ],
  },
  'no space after the colon': {
    file: `version: 1
notify:
  group_wait:5s
  repeat_interval: 4h
`,
    says: ['3:3: a key must be on one line, followed by a colon and a space'],
  },
  'a variable without quotes in braces': {
    file: `version: 1
channels:
  oncall: { type: slack, url: \${SLACK_URL} }
`,
    says: [
      '3:32: not expected here; check quotes, brackets and the ":" before it; inside { } and [ ] write "${NAME}" in quotes',
    ],
  },
  'a secret that starts with a star': {
    file: `version: 1
channels:
  oncall: { type: slack, url: *hunter2 }
`,
    says: ['3:31: there is no anchor (&name) for this alias (*name); a text that starts with * needs quotes'],
  },
  'a secret that starts with an exclamation mark': {
    file: `version: 1
channels:
  oncall:
    type: slack
    url: !hunter2 x
`,
    says: [
      '5:10: tags (!name) are not used here; a text that starts with ! needs quotes',
      '5:19: channels.oncall.url: expected an http:// or https:// address without user name and password',
    ],
  },
  'a secret with an unknown escape': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "hunter2\\q" }
`,
    says: [
      '3:39: unknown escape in a text in double quotes; write \\\\ for a backslash, or use single quotes',
    ],
  },
  'a second document': {
    file: `version: 1
---
version: 1
`,
    says: ['2:1: a second document (---) starts here; only one is allowed'],
  },
  'aliases that unfold into too much': {
    file: UNFOLDING,
    says: ['3:10: aliases (*name) unfold into too much from here on; write the settings out'],
  },
  'an alias of itself': {
    file: `version: 1
routes: &r [*r]
`,
    says: ['2:13: routes[0]: expected a map of settings (key: value), got a list'],
  },
  'a key that is no text': {
    file: `version: 1
? [a, b]
: c
`,
    says: ['2:3: a key must be a plain text'],
  },
  'a key with a meaning in JavaScript': {
    file: `version: 1
channels:
  __proto__: { type: slack, url: hunter2 }
`,
    says: ['3:3: unknown setting "__proto__"'],
  },

  // Names
  'no version': {
    file: `channels: {}
`,
    says: ['1:1: version: "version" is missing; expected 1'],
  },
  'a later version': {
    file: `version: 2
`,
    says: ['1:10: version: expected 1, got 2'],
  },
  'a version in quotes': {
    file: `version: "1"
`,
    says: ['1:10: version: expected 1, got "1"; remove the quotes'],
  },
  'a section misspelt': {
    file: `version: 1
chanels: {}
`,
    says: [
      '2:1: chanels: unknown setting "chanels"; did you mean "channels"? Allowed: version, channels, routes, notify, maintenance, alert_budget, detectors, severity, overrides, revoke, self_watch, heartbeat, digest, schedule, retention, network, links',
    ],
  },
  'a setting misspelt': {
    file: `version: 1
notify:
  group_wiat: 5s
`,
    says: [
      '3:3: notify.group_wiat: unknown setting "group_wiat"; did you mean "group_wait"? Allowed: group_by, group_wait, repeat_interval, repeat_backoff, repeat_max, resolve_after, clean_evaluations, close_at, silence_max, safe_for',
    ],
  },
  'a maintenance window without a time': {
    file: `version: 1
maintenance: [{ name: move }]
`,
    says: ['2:15: maintenance[0]: expected either weekly, or both starts_at and ends_at'],
  },
  'a maintenance window that ends before it begins': {
    file: `version: 1
maintenance: [{ name: move, starts_at: 2026-03-02T22:00:00Z, ends_at: 2026-03-02T21:00:00Z }]
`,
    says: ['2:71: maintenance[0].ends_at: expected a time later than starts_at'],
  },
  'a maintenance window at an hour that no clock shows': {
    file: `version: 1
maintenance: [{ name: move, weekly: { days: [mon], from: "24:00", to: "02:00" } }]
`,
    says: ['2:58: maintenance[0].weekly.from: expected a time such as "22:00"'],
  },
  'two maintenance windows of one name': {
    file: `version: 1
maintenance:
  - { name: move, weekly: { days: [mon], from: "22:00", to: "02:00" } }
  - { name: move, weekly: { days: [tue], from: "22:00", to: "02:00" } }
`,
    says: [
      '4:13: maintenance[1].name: another window has this name; alerts show it, so it must tell them apart',
    ],
  },
  'a pattern that fits no detector': {
    file: `version: 1
routes: [{ match: { detector: ["unusual_*", "odd_*"] }, channels: [] }]
`,
    says: [`2:45: routes[0].match.detector[1]: expected one of ${DETECTOR_NAMES.join(', ')}, got "odd_*"`],
  },
  'an escalation to a channel that is not there': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/x" }
routes: [{ channels: [oncall], escalate: { channels: [pager] }, fallback: [oncal] }]
`,
    says: [
      '4:55: routes[0].escalate.channels[0]: no channel is named "pager"; defined: oncall',
      '4:76: routes[0].fallback[0]: no channel is named "oncal"; did you mean "oncall"? defined: oncall',
    ],
  },
  'a setting of nobody': {
    file: `version: 1
notify: { colour: red }
`,
    says: [
      '2:11: notify.colour: unknown setting "colour"; allowed: group_by, group_wait, repeat_interval, repeat_backoff, repeat_max, resolve_after, clean_evaluations, close_at, silence_max, safe_for',
    ],
  },
  'a detector misspelt': {
    file: `version: 1
detectors:
  volume_spkie: {}
`,
    says: [
      `3:3: detectors.volume_spkie: unknown setting "volume_spkie"; did you mean "volume_spike"? Allowed: ${DETECTOR_NAMES.join(', ')}`,
    ],
  },
  'a setting of another detector': {
    file: `version: 1
detectors: { unusual_geo: { timezone: UTC } }
`,
    says: [
      '2:29: detectors.unusual_geo.timezone: unknown setting "timezone"; allowed: enabled, severity, min_history, min_events, max_new_per_day',
    ],
  },
  'a setting misspelt in an override': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
overrides:
  - match: { key_id: a }
    detectors: { unusual_hour: { enbled: false } }
`,
    says: [
      '6:34: overrides[0].detectors.unusual_hour.enbled: unknown setting "enbled"; did you mean "enabled"? Allowed: enabled, severity, false_alerts_per_100_key_days, min_history, min_events, timezone, min_requests, tail',
    ],
  },
  'an override for no key': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
overrides:
  - detectors: { unusual_hour: { enabled: false } }
`,
    says: ['5:5: overrides[0].match: "match" is missing; expected a map of settings (key: value)'],
  },

  // Channels and routes
  'a channel type misspelt': {
    file: `version: 1
channels:
  oncall: { type: slak, url: hunter2 }
`,
    says: [
      '3:19: channels.oncall.type: expected one of slack, email, pagerduty, teams, discord, webhook, got "slak"; did you mean "slack"?',
    ],
  },
  'a channel without a type': {
    file: `version: 1
channels:
  oncall: { url: hunter2 }
`,
    says: [
      '3:3: channels.oncall.type: "type" is missing; expected one of slack, email, pagerduty, teams, discord, webhook',
    ],
  },
  'a channel without its address': {
    file: `version: 1
channels:
  oncall: { type: slack }
`,
    says: [
      '3:3: channels.oncall.url: "url" is missing; expected the url of an incoming webhook, or the token of a bot and a channel',
    ],
  },
  'a channel with nothing': {
    file: `version: 1
channels:
  oncall:
`,
    says: [
      '3:10: channels.oncall: has no value; expected a map of settings (key: value), or leave the setting out',
    ],
  },
  'a channel setting misspelt': {
    file: `version: 1
channels:
  oncall: { type: slack, ulr: hunter2 }
`,
    says: [
      '3:3: channels.oncall.url: "url" is missing; expected the url of an incoming webhook, or the token of a bot and a channel',
      '3:26: channels.oncall.ulr: unknown setting "ulr"; did you mean "url"? Allowed: type, url, token, channel, api_url',
    ],
  },
  'a channel name with a space': {
    file: `version: 1
channels:
  on call: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
`,
    says: [
      '3:3: channels["on call"]: a channel name is 1 to 64 letters, digits, "_", "-" and ".", and starts with a letter or digit',
    ],
  },
  'a channel address that is none': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "hunter2 hunter2" }
`,
    says: [
      '3:31: channels.oncall.url: expected an http:// or https:// address without user name and password',
    ],
  },
  'a channel secret that is a number': {
    file: `version: 1
channels:
  siem: { type: webhook, url: "https://siem.example.com/", secret: 4711471147114711 }
`,
    says: ['3:68: channels.siem.secret: expected text; put it in quotes'],
  },
  'a channel secret that is not what it says': {
    file: `version: 1
channels:
  siem: { type: webhook, url: "https://siem.example.com/", secret: "whsec_hunter2!" }
`,
    says: ['3:68: channels.siem.secret: expected whsec_ and base64, or a text'],
  },
  'a secret with a comma and no quotes': {
    file: `version: 1
channels:
  siem: { type: webhook, url: "https://siem.example.com/", secret: 0123456789abcdef01234567,hunter2 }
`,
    says: [
      '3:9: channels.siem: a key without ":" and value; if it is the rest of a text that holds a comma, put that text in quotes',
    ],
  },
  'a recipient that is no list': {
    file: `version: 1
channels:
  mail: { type: email, smtp: "smtp://localhost", from: a@example.com, to: b@example.com }
`,
    says: ['3:75: channels.mail.to: expected a list; put it in [ ]'],
  },
  'a route to a channel misspelt': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - channels: [oncal]
`,
    says: [
      '5:16: routes[0].channels[0]: no channel is named "oncal"; did you mean "oncall"? defined: oncall',
    ],
  },
  'a route without channels': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - match: { severity: critical }
`,
    says: ['5:5: routes[0].channels: "channels" is missing; expected a list'],
  },
  'a route to one channel that is no list': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - channels: oncall
`,
    says: ['5:15: routes[0].channels: expected a list, got "oncall"; put it in [ ]'],
  },
  'a severity misspelt in a list': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - match: { severity: [critical, warnin] }
    channels: [oncall]
`,
    says: [
      '5:35: routes[0].match.severity[1]: expected one of info, warning, critical, got "warnin"; did you mean "warning"?',
    ],
  },
  'a detector misspelt in a route': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - match: { detector: spend_treshold }
    channels: [oncall]
`,
    says: [
      `5:24: routes[0].match.detector: expected one of ${DETECTOR_NAMES.join(', ')}, got "spend_treshold"; did you mean "spend_threshold"?`,
    ],
  },
  'a key in a route that is a number': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - match: { key_id: 4711 }
    channels: [oncall]
`,
    says: ['5:22: routes[0].match.key_id: expected text, got 4711; put it in quotes'],
  },
  'continue that is no switch': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - channels: [oncall]
    continue: "yes"
`,
    says: ['6:15: routes[0].continue: expected true or false, got "yes"'],
  },

  // Values
  'a duration without unit': {
    file: `version: 1
notify: { group_wait: 30 }
`,
    says: [
      '2:23: notify.group_wait: expected a duration such as 30s, 5m, 4h or 7d, got 30; did you mean "30s"?',
    ],
  },
  'a duration with a long unit': {
    file: `version: 1
notify: { repeat_interval: 90 min }
`,
    says: [
      '2:28: notify.repeat_interval: expected a duration such as 30s, 5m, 4h or 7d, got "90 min"; did you mean "90m"?',
    ],
  },
  'a duration of two parts': {
    file: `version: 1
notify: { repeat_interval: 1h30m }
`,
    says: [
      '2:28: notify.repeat_interval: expected a duration such as 30s, 5m, 4h or 7d, got "1h30m"; did you mean "90m"?',
    ],
  },
  'a duration in weeks': {
    file: `version: 1
retention: { events: 3w }
`,
    says: [
      '2:22: retention.events: expected a duration such as 30s, 5m, 4h or 7d, got "3w"; did you mean "21d"?',
    ],
  },
  'a duration out of range': {
    file: `version: 1
retention: { events: 1d }
`,
    says: ['2:22: retention.events: expected a duration from 2d to 3650d, got "1d"'],
  },
  'a duration of nonsense': {
    file: `version: 1
notify: { group_wait: soon }
`,
    says: ['2:23: notify.group_wait: expected a duration such as 30s, 5m, 4h or 7d, got "soon"'],
  },
  'a time zone misspelt': {
    file: `version: 1
detectors: { unusual_hour: { timezone: Europe/Berln } }
`,
    says: [
      '2:40: detectors.unusual_hour.timezone: expected an IANA time zone such as UTC or Europe/Berlin; did you mean "Europe/Berlin"?',
    ],
  },
  'a time zone without its continent': {
    file: `version: 1
detectors: { unusual_hour: { timezone: Tokyo } }
`,
    says: [
      '2:40: detectors.unusual_hour.timezone: expected an IANA time zone such as UTC or Europe/Berlin; did you mean "Asia/Tokyo"?',
    ],
  },
  'a number in quotes': {
    file: `version: 1
schedule: { shards: "4" }
`,
    says: ['2:21: schedule.shards: expected a number, got "4"; remove the quotes'],
  },
  'a number that is not whole': {
    file: `version: 1
schedule: { shards: 2.5 }
`,
    says: ['2:21: schedule.shards: expected a whole number, got 2.5'],
  },
  'a number out of range': {
    file: `version: 1
schedule: { shards: 0 }
`,
    says: ['2:21: schedule.shards: expected at least 1, got 0'],
  },
  'a number without end': {
    file: `version: 1
detectors: { spend_threshold: { limits: [{ window: 1d, usd: .inf }] } }
`,
    says: ['2:61: detectors.spend_threshold.limits[0].usd: expected a number, got Infinity'],
  },
  'a tick that does not divide a minute': {
    file: `version: 1
schedule: { tick: 7s }
`,
    says: ['2:19: schedule.tick: expected 1s to 60s, in a step that divides a minute, got "7s"'],
  },
  'a setting without value': {
    file: `version: 1
revoke:
  protect:
`,
    says: ['3:11: revoke.protect: has no value; expected a list, or leave the setting out'],
  },
  'the same limit twice': {
    file: `version: 1
detectors:
  spend_threshold:
    limits:
      - { window: 1d, usd: 10 }
      - { window: 24h, usd: 10 }
`,
    says: ['6:9: detectors.spend_threshold.limits[1]: the same limit as limits[0]; remove one of them'],
  },
  'a limit with neither a window nor a period': {
    file: `version: 1
detectors: { spend_threshold: { limits: [{ usd: 10 }] } }
`,
    says: [
      '2:42: detectors.spend_threshold.limits[0]: expected either a window (rolling) or a period (day, week, month)',
    ],
  },
  'a projection of a rolling window': {
    file: `version: 1
detectors: { spend_threshold: { limits: [{ window: 1d, usd: 10, projected: info }] } }
`,
    says: [
      '2:76: detectors.spend_threshold.limits[0].projected: expected a limit with a period: the end of a rolling window is always now',
    ],
  },
  'an allowed range that is none': {
    file: `version: 1
detectors: { ip_allowlist: { ranges: [10.0.0.0/33] } }
`,
    says: [
      '2:39: detectors.ip_allowlist.ranges[0]: expected an address or a range such as 203.0.113.7, 10.1.2.0/24 or 2001:db8::/32',
    ],
  },
  'complaint 7: a deletion that nobody has called irreversible': {
    file: `version: 1
revoke:
  action: { type: openai, do: delete, project: proj_a, admin_key: hunter2 }
  actions:
    - match: { key_id: a }
      action: { type: openai, do: delete, irreversible: false, project: proj_a, admin_key: hunter2 }
    - match: { key_id: b }
      action: { type: openai, do: throttle, project: proj_a, admin_key: hunter2 }
`,
    says: [
      '3:31: revoke.action.do: delete removes keys for good and nothing brings them back: add irreversible: true if you mean it, or do: throttle',
      '6:35: revoke.actions[0].action.do: delete removes keys for good and nothing brings them back: add irreversible: true if you mean it, or do: throttle',
    ],
  },
  'an action of OpenAI that does not say what to do': {
    file: `version: 1
revoke: { action: { type: openai, project: proj_a, admin_key: hunter2 } }
`,
    says: ['2:11: revoke.action.do: "do" is missing; expected one of delete, throttle'],
  },
  'an address range that is none': {
    file: `version: 1
network: { allow_private: [10.0.0.0] }
`,
    says: ['2:28: network.allow_private[0]: expected an address range such as 10.1.2.0/24 or fd00::/8'],
  },
  'a link without protocol': {
    file: `version: 1
links: { base_url: keyhound.example.com }
`,
    says: ['2:20: links.base_url: expected a URL such as https://keyhound.example.com'],
  },
  'grouping by nothing': {
    file: `version: 1
notify: { group_by: [] }
`,
    says: ['2:21: notify.group_by: expected at least 1 in the list'],
  },
  'grouping misspelt': {
    file: `version: 1
notify: { group_by: [key] }
`,
    says: [
      '2:22: notify.group_by[0]: expected one of key_id, team_id, environment, detector, got "key"; did you mean "key_id"?',
    ],
  },

  // Revocation
  'a mode misspelt': {
    file: `version: 1
revoke: { mode: dryrun }
`,
    says: [
      '2:17: revoke.mode: expected one of off, dry_run, approve, auto, got "dryrun"; did you mean "dry_run"?',
    ],
  },
  'auto without an action': {
    file: `version: 1
revoke: { mode: auto }
`,
    says: [
      '2:17: revoke.mode: mode auto needs revoke.action, which says how a key is revoked; or set mode: dry_run',
    ],
  },
  'approve without an action': {
    file: `version: 1
revoke:
  mode: approve
  protect: [prod]
`,
    says: [
      '3:9: revoke.mode: mode approve needs revoke.action, which says how a key is revoked; or set mode: dry_run',
    ],
  },
  'an action misspelt': {
    file: `version: 1
revoke: { action: { type: webhok, url: hunter2, secret: hunter2 } }
`,
    says: [
      '2:27: revoke.action.type: expected one of webhook, litellm, new_api, openai, anthropic, openrouter, unkey, queue, redis_set, got "webhok"; did you mean "webhook"?',
    ],
  },
  'one protected key that is no list': {
    file: `version: 1
revoke: { protect: prod-core-1 }
`,
    says: ['2:20: revoke.protect: expected a list, got "prod-core-1"; put it in [ ]'],
  },

  // Environment
  'a variable that is not set': {
    file: `version: 1
channels:
  oncall:
    type: slack
    url: "https://hooks.slack.com/\${SLACK_TOKEN}"
`,
    says: [
      '5:35: channels.oncall.url: the environment variable SLACK_TOKEN is not set; set it, or give a default with ${SLACK_TOKEN:-default}',
    ],
  },
  'a reference that is not closed': {
    file: `version: 1
links: { base_url: "https://\${HOST" }
`,
    says: ['2:29: links.base_url: expected ${NAME} or ${NAME:-default}; write $${ for a literal ${'],
  },
  'a reference inside a default': {
    file: `version: 1
links: { base_url: "https://\${HOST:-\${OTHER}}" }
`,
    says: ['2:29: links.base_url: the default of ${HOST} cannot hold another ${...}'],
  },
  'a reference with a dash only': {
    file: `version: 1
links: { base_url: "https://\${HOST-x}" }
`,
    says: ['2:29: links.base_url: expected ${NAME} or ${NAME:-default}; write $${ for a literal ${'],
  },
  'a bad value from a variable': {
    file: `version: 1
notify: { group_wait: "\${SECRET}" }
`,
    says: [
      '2:23: notify.group_wait: expected a duration such as 30s, 5m, 4h or 7d (the value comes from ${SECRET})',
    ],
  },
  'a bad number from a variable': {
    file: `version: 1
schedule: { shards: "\${SECRET}" }
`,
    says: ['2:21: schedule.shards: expected a number (the value comes from ${SECRET})'],
  },
  'a channel name from a variable that none has': {
    file: `version: 1
channels:
  oncall: { type: slack, url: "https://hooks.slack.com/services/T0/B0/hunter2" }
routes:
  - channels: ["\${SECRET}"]
`,
    says: ['5:16: routes[0].channels[0]: no channel has the name that the variable gives; defined: oncall'],
  },

  // All of it
  'many mistakes at once': {
    file: `version: 1
channels:
  oncall: { type: slak, url: hunter2 }
routes:
  - channels: [oncal]
notify: { group_wait: 5 }
revoke: { mode: auto }
links: { base_url: "\${NOT_SET}" }
`,
    says: [
      '3:19: channels.oncall.type: expected one of slack, email, pagerduty, teams, discord, webhook, got "slak"; did you mean "slack"?',
      '5:16: routes[0].channels[0]: no channel is named "oncal"; did you mean "oncall"? defined: oncall',
      '6:23: notify.group_wait: expected a duration such as 30s, 5m, 4h or 7d, got 5; did you mean "5s"?',
      '7:17: revoke.mode: mode auto needs revoke.action, which says how a key is revoked; or set mode: dry_run',
      '8:21: links.base_url: the environment variable NOT_SET is not set; set it, or give a default with ${NOT_SET:-default}',
    ],
  },
}
