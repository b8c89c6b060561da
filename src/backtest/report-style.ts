/** The style of the HTML report; the page's policy allows it by its hash and nothing else. */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #e0e1e6; --page: #fcfcfd; --card: #fff; --usual: #cfe3d4; --within: #8b8d98; --above: #d9480f; --critical: #ce2c31; --warning: #ad5700; --info: #1d6fb8 }
@media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #b0b4ba; --line: #363a3f; --page: #111113; --card: #18191b; --usual: #1e3a2a; --within: #777b84; --above: #ff8b3e; --critical: #ff6369; --warning: #f1a10d; --info: #52a9ff } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1020px; margin: 0 auto; padding: 24px 20px 64px }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 17px; margin: 32px 0 8px }
header p { margin: 4px 0 16px; color: var(--soft); overflow-wrap: anywhere }
.note, figcaption { color: var(--soft); font-size: 13px }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 10px; margin: 0 }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px }
.tiles dt { color: var(--soft); font-size: 13px } .tiles dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums }
.tiles .critical dd { color: var(--critical) } .tiles .warning dd { color: var(--warning) } .tiles .info dd { color: var(--info) }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 0 32px; align-items: start }
section { min-width: 0; overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 14px }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px } th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.key { font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere }
time { font-variant-numeric: tabular-nums; white-space: nowrap }
svg { display: block; width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) } svg .axis { text-anchor: end }
svg.bar { width: 120px; height: 10px; margin-top: 6px }
.grid { stroke: var(--line) } .tick { stroke: var(--soft) } .mark { stroke: var(--critical); stroke-width: 1.5; stroke-dasharray: 4 3 }
rect.usual { fill: var(--usual) } rect.within { fill: var(--within) } rect.above { fill: var(--above) }
rect.critical { fill: var(--critical) } rect.warning { fill: var(--warning) } rect.info { fill: var(--info) }
.s0 { fill: #0072b2 } .s1 { fill: #e69f00 } .s2 { fill: #009e73 } .s3 { fill: #cc79a7 } .s4 { fill: #56b4e9 } .s5 { fill: #d55e00 } .s6 { fill: #8c6bb1 } .s7 { fill: #b3a100 }
.s8 { fill: #5f7f95 } .s9 { fill: #a65628 } .s10 { fill: #1b9e77 } .s11 { fill: #e7298a } .s12 { fill: #7570b3 } .s13 { fill: #66a61e } .s14 { fill: #999 } .s15 { fill: #333 }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; padding: 0; margin: 8px 0 0; font-size: 13px } .legend svg { display: inline-block; width: 10px; height: 10px; margin-right: 6px }
.plain { padding-left: 18px; font-size: 14px }
details.alert { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--info); border-radius: 6px; margin: 10px 0; padding: 8px 14px }
details.alert.critical { border-left-color: var(--critical) } details.alert.warning { border-left-color: var(--warning) }
summary { cursor: pointer } .says { display: block; margin-top: 2px; overflow-wrap: anywhere }
.badge { font-size: 12px; font-weight: 600 } .badge.critical { color: var(--critical) } .badge.warning { color: var(--warning) } .badge.info { color: var(--info) }
.detector { font-weight: 600 } summary time { color: var(--soft) } .tag { border: 1px solid var(--line); border-radius: 99px; padding: 0 8px; font-size: 12px; color: var(--soft) }
figure { margin: 12px 0 4px }
.evidence { display: grid; gap: 2px 16px; margin: 10px 0 4px; font-size: 13px } .evidence div { display: grid; grid-template-columns: 130px minmax(0, 1fr); gap: 12px }
.evidence dt { color: var(--soft) } .evidence dd { margin: 0; overflow-wrap: anywhere }
@media print { details.alert { break-inside: avoid } }
`
