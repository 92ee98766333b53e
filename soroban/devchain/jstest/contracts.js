// The generated-style contract client: it reads the spec from the chain, calls,
// signs, sends and interprets results and errors.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { field, hex, sha256 } from './suite.js'

export function contracts(bench) {
  reads(bench)
  describe('contract client', () => {
    let voter
    before(async () => {
      voter = await bench.funded()
    })
    votes(bench, () => voter)
    content(bench, () => voter)
  })
  authorizations(bench)
}

function reads(bench) {
  describe('read-only calls', () => {
    test('balance and total supply come from simulation', async () => {
      const to = bench.sdk.Keypair.random().publicKey()
      const reward = await bench.client(bench.ids.reward, bench.admin)
      const supply = async () => (await reward.total_supply()).result
      const balance = async () => (await reward.balance({ id: to })).result
      const earlier = await supply()
      assert.equal(await balance(), 0n)
      assert.equal((await bench.final(await bench.mint(to, 5n))).status, 'SUCCESS')
      assert.equal(await balance(), 5n)
      assert.equal(await supply(), earlier + 5n)
    })

    test('need no signature, and signing them is refused', async () => {
      const reward = await bench.client(bench.ids.reward, bench.admin)
      const read = await reward.admin()
      assert.equal(read.result, bench.admin.publicKey())
      assert.equal(read.isReadCall, true)
      await assert.rejects(read.signAndSend(), bench.sdk.contract.AssembledTransaction.Errors.NoSignatureNeeded)
    })

    test('the token describes itself', async () => {
      const token = await bench.client(bench.ids.token, bench.admin)
      assert.equal((await token.decimals()).result, 7)
      assert.equal((await token.symbol()).result, 'DEV')
      assert.equal(typeof (await token.name()).result, 'string')
    })
  })
}

function votes(bench, voter) {
  const options = () => ({ voter: voter().publicKey(), proposal_id: bench.proposal, support: true })

  test('a vote is cast and counted', async () => {
    const client = await bench.client(bench.ids.votes, voter())
    const tx = await client.cast(options())
    assert.equal(tx.result, 1, 'the simulated result')
    const sent = await tx.signAndSend()
    assert.equal(sent.getTransactionResponse.status, 'SUCCESS')
    assert.equal(sent.result, 1)
    const { result } = await client.tally({ proposal_id: bench.proposal })
    assert.deepEqual(result, { against: 0, in_favor: 1 })
  })

  test('a second vote surfaces AlreadyVoted', async () => {
    const client = await bench.client(bench.ids.votes, voter())
    const declared = client.spec.errorCases().find((c) => String(field(c, 'name')) === 'AlreadyVoted')
    const tx = await client.cast(options())
    assert.ok(bench.sdk.rpc.Api.isSimulationError(tx.simulation))
    assert.ok(tx.simulation.error.includes(`Error(Contract, #${field(declared, 'value')})`), tx.simulation.error)
    assert.ok(tx.result.isErr())
    assert.equal(tx.result.unwrapErr().message, String(field(declared, 'doc')))
    await assert.rejects(tx.signAndSend())
  })
}

function content(bench, author) {
  test('content is registered, found by its hash, and not found by another', async () => {
    const client = await bench.client(bench.ids.content, author())
    const content_hash = sha256(`content ${bench.proposal}`)
    const args = { author: author().publicKey(), content_hash, uri: 'ipfs://example/ü' }
    const { result: count } = await client.count()
    const sent = await (await client.submit(args)).signAndSend()
    assert.equal(sent.result, count + 1n)
    const { result: found } = await client.get({ content_hash })
    assert.deepEqual(found, { author: args.author, id: count + 1n, uri: args.uri })
    const { result: absent } = await client.get({ content_hash: sha256(`other ${bench.proposal}`) })
    assert.ok(absent === null || absent === undefined, String(absent))
    const [event] = (
      await bench.server.getEvents({
        startLedger: sent.getTransactionResponse.ledger,
        filters: [{ type: 'contract', contractIds: [bench.ids.content] }],
      })
    ).events.filter((e) => e.txHash === sent.getTransactionResponse.txHash)
    assert.equal(hex(bench.sdk.scValToNative(event.topic[2])), hex(content_hash))
  })
}

// The transaction's source is another account than the one that authorizes.
function authorizations(bench) {
  describe('a vote that another account pays for', () => {
    let payer, voter, client, args
    before(async () => {
      payer = await bench.funded()
      voter = await bench.funded()
      client = await bench.client(bench.ids.votes, payer)
      args = { voter: voter.publicKey(), proposal_id: bench.proposal, support: false }
    })

    const signAs = (keys) => ({
      address: keys.publicKey(),
      ...pick(bench.sdk.contract.basicNodeSigner(keys, bench.passphrase), 'signAuthEntry'),
    })

    test('is not sent without the voter', async () => {
      const tx = await client.cast(args)
      assert.deepEqual(tx.needsNonInvokerSigningBy(), [voter.publicKey()])
      await assert.rejects(tx.signAndSend(), bench.sdk.contract.AssembledTransaction.Errors.NeedsMoreSignatures)
    })

    test('does not count with a signature of the wrong account', async () => {
      const tx = await client.cast(args)
      const wrong = { ...signAs(payer), address: voter.publicKey() }
      // Version 15 verifies the signature itself; version 17 leaves that to the chain.
      const signed = await tx.signAuthEntries(wrong).then(
        () => true,
        () => false,
      )
      if (signed) {
        const sent = await tx.signAndSend()
        assert.equal(sent.getTransactionResponse.status, 'FAILED')
      }
      const { result } = await client.tally({ proposal_id: bench.proposal })
      assert.equal(result.against, 0)
    })

    test('counts once both have signed, and the second of two fails on chain', async () => {
      const other = await bench.funded()
      const rival = await (await bench.client(bench.ids.votes, other)).cast(args)
      await rival.signAuthEntries(signAs(voter))
      const tx = await client.cast(args)
      await tx.signAuthEntries(signAs(voter))
      assert.deepEqual(tx.needsNonInvokerSigningBy(), [])

      const sent = await tx.signAndSend()
      assert.equal(sent.getTransactionResponse.status, 'SUCCESS')
      const { result } = await client.tally({ proposal_id: bench.proposal })
      assert.equal(result.against, 1)

      const late = await rival.signAndSend()
      assert.equal(late.getTransactionResponse.status, 'FAILED')
      assert.throws(() => late.result)
      const after = await client.tally({ proposal_id: bench.proposal })
      assert.equal(after.result.against, 1, 'a failed transaction must change nothing')
    })
  })
}

function pick(object, name) {
  return { [name]: object[name] }
}
