package httpapi

// apiDescription opens the OpenAPI document and /docs.
const apiDescription = `Channels, contacts, conversations, messages and deliveries of one account, and the queues, functions, agents and words with which its conversations are looked after.

Authentication: send a platform token as "Authorization: Bearer <token>". A token belongs to one account and has one role: admin may do everything, agent may read, reply, close and assign, reader may read. Things of another account do not exist for it: 404. Admin tokens of the account default also make the other accounts and rotate the installation's keys.

Errors are problem documents (RFC 9457, application/problem+json). "code" is for programs, "detail" for people, and "errors" names each field that is wrong with the limit it breaks. Input that breaks a rule by itself is 400. 422 is input that does not fit what is there: it names something that does not exist, contradicts another setting, or names a callback that does not pass its check. 409 is a change that what is there does not allow. 429 and 503 carry Retry-After: nothing is known to be stored, repeat the request.

Lists answer {"data":[…],"next_cursor":…}; send next_cursor as ?cursor= for the part that follows. It is null at the end.

Repeating writes safely: send an Idempotency-Key with a POST. The first answer that did something is kept for a day, encrypted, and given again for the same key and body with the header Idempotency-Replayed: true. While the first request is being served a repeat gets 409; the same key with another body gets 422. An answer that did nothing is not kept.

Reading your own writes: every answer to something that was appended to the log carries Parley-Position: <partition>:<offset>. A read that sends this header waits up to 5 s until it sees that position, and answers 503 otherwise. A position that the log does not have is 400. A read without it waits up to 250 ms for what the log held when it came, and then answers with what there is, marked Parley-Stale: true.

Dead letters are redriven or dropped one by one, or many of them as a job under /v1/redrives.`
