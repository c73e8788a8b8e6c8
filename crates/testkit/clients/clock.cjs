// The clock of this process is SKEW seconds from that of the machine, for everything in it:
//
//   SKEW=-90 node --require ./clock.cjs PROGRAM
//
// Timers are not touched: they measure, and do not tell the time.
"use strict";
const off = Number(process.env.SKEW ?? 0) * 1000;
const Real = Date;
const now = () => Real.now() + off;
globalThis.Date = new Proxy(Real, {
  apply: () => new Real(now()).toString(),
  construct: (_, given, of) => Reflect.construct(Real, given.length === 0 ? [now()] : given, of),
  get: (_, name) => (name === "now" ? now : Reflect.get(Real, name)),
});
