import { COUNTER_NAMES } from './contract.js';
/** Foreign names (headers, methods, option tags) worth telling apart; the rest is `other`. Never metric labels. */
const FOREIGN_NAMES = 100;
/** Labels of one family; reasons are short tokens of our own, capped all the same. */
const LABELS = 200;
/** Counters by family and reason, and a bounded table of foreign names. */
export class Counters {
    #families = new Map();
    #foreign = new Map();
    /** The label as counted: `other` once a family is full. */
    add(name, label) {
        let family = this.#families.get(name);
        if (family === undefined) {
            family = new Map();
            this.#families.set(name, family);
        }
        const known = family.has(label) || family.size < LABELS ? label : 'other';
        family.set(known, (family.get(known) ?? 0) + 1);
        return known;
    }
    addForeign(name) {
        const short = name.slice(0, 64);
        const known = this.#foreign.has(short) || this.#foreign.size < FOREIGN_NAMES ? short : 'other';
        this.#foreign.set(known, (this.#foreign.get(known) ?? 0) + 1);
    }
    view() {
        const out = {};
        for (const name of Object.keys(COUNTER_NAMES)) {
            const family = this.#families.get(name);
            if (family !== undefined)
                out[name] = Object.fromEntries(family);
        }
        return out;
    }
    foreign() {
        return Object.fromEntries(this.#foreign);
    }
}
//# sourceMappingURL=counters.js.map