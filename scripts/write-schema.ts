import { readFileSync, writeFileSync } from 'node:fs'
import { editorSchema } from '../src/config/json-schema.ts'
import { withTables } from './configuration-reference.ts'

// What editors and docs know about the configuration is written from the code: run `npm run schema` after a change.
const schemaFile = new URL('../alerts.schema.json', import.meta.url)
const docsFile = new URL('../docs/configuration.md', import.meta.url)

writeFileSync(schemaFile, `${JSON.stringify(editorSchema(), undefined, 2)}\n`)
writeFileSync(docsFile, withTables(readFileSync(docsFile, 'utf8')))
console.log('wrote alerts.schema.json and the tables of docs/configuration.md')
