// Package enrollment equips many people at a time.
//
// A list of people (internal/roster) becomes a run: [Service.Preview] says all
// that is wrong with it and writes nothing, [Service.Start] writes it down, and
// jobs of internal/outbox do the rest, batch by batch: people and orders through
// internal/registration, then for each person an invitation to make a key in the
// browser, or a key made here and its PKCS #12 file. What a job has done is in
// the store before the next step begins, so that a process that is killed loses
// nothing, and whoever takes the batch up does nothing twice.
//
// What waits for a person lies under a link that proves nothing; the mail that
// has it brings a code, made as the mail leaves. A file can be picked up once.
// Its passphrase comes another way: on the administrator's sheet, or on a page
// that only the person sees. [Service.Maintain] looks after what waits for
// approval, what is over, and certificates that end.
package enrollment
