// Transactions by hand: prepare, sign, send, poll, and what the ledger shows of them.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { hex } from './suite.js'

export function transactions(bench) {
  const { server, sdk } = bench

  describe('a reward minted by hand', () => {
    let to, from, hash, done, earlier
    before(async () => {
      to = sdk.Keypair.random().publicKey()
      from = (await server.getLatestLedger()).sequence
      earlier = await server.getAccount(bench.admin.publicKey())
      const tx = await bench.mint(to, 12_345_678_901_234_567_890n)
      hash = hex(tx.hash())
      done = await bench.final(tx)
    })

    test('succeeds and returns the balance', () => {
      assert.equal(done.status, 'SUCCESS')
      assert.equal(done.txHash, hash)
      assert.equal(sdk.scValToNative(done.returnValue), 12_345_678_901_234_567_890n)
      assert.ok(done.ledger > from)
      assert.equal(done.feeBump, false)
    })

    test('getTransaction gives the envelope that was sent', async () => {
      const got = await server.getTransaction(hash)
      assert.equal(got.status, 'SUCCESS')
      const envelope = new sdk.Transaction(got.envelopeXdr, bench.passphrase)
      assert.equal(hex(envelope.hash()), hash)
    })

    test('consumes one sequence number', async () => {
      const after = await server.getAccount(bench.admin.publicKey())
      assert.equal(BigInt(after.sequenceNumber()), BigInt(earlier.sequenceNumber()) + 1n)
    })

    test('getTransactions lists it in its ledger', async () => {
      const page = await server.getTransactions({ startLedger: done.ledger, pagination: { limit: 100 } })
      const mine = page.transactions.find((tx) => tx.txHash === hash)
      assert.equal(mine?.ledger, done.ledger)
      assert.equal(mine?.status, 'SUCCESS')
      const next = await server.getTransactions({ pagination: { cursor: page.cursor, limit: 100 } })
      assert.ok(!next.transactions.some((tx) => tx.txHash === hash), 'the cursor repeats a transaction')
    })

    test('getEvents finds its event by contract and topic', async () => {
      const topic = sdk.nativeToScVal('mint', { type: 'symbol' }).toXDR('base64')
      const receiver = sdk.Address.fromString(to).toScVal().toXDR('base64')
      const { events } = await server.getEvents({
        startLedger: done.ledger,
        filters: [{ type: 'contract', contractIds: [bench.ids.reward], topics: [[topic, receiver]] }],
        limit: 10,
      })
      assert.equal(events.length, 1)
      const [event] = events
      assert.equal(event.txHash, hash)
      assert.equal(event.ledger, done.ledger)
      assert.equal(event.contractId.toString(), bench.ids.reward)
      assert.deepEqual(event.topic.map(sdk.scValToNative), ['mint', to])
      assert.equal(sdk.scValToNative(event.value), 12_345_678_901_234_567_890n)
      const none = await server.getEvents({
        startLedger: done.ledger,
        filters: [{ type: 'contract', contractIds: [bench.ids.votes], topics: [[topic, receiver]] }],
      })
      assert.equal(none.events.length, 0)
    })

    test('getFeeStats counts its bid', async () => {
      const { sorobanInclusionFee } = await server.getFeeStats()
      assert.ok(Number(sorobanInclusionFee.transactionCount) >= 1)
      assert.ok(Number(sorobanInclusionFee.max) >= Number(sdk.BASE_FEE))
    })

    test('sent again, it is not accepted again', async () => {
      const got = await server.getTransaction(hash)
      const again = await server.sendTransaction(new sdk.Transaction(got.envelopeXdr, bench.passphrase))
      assert.notEqual(again.status, 'PENDING')
      assert.notEqual(again.status, 'DUPLICATE')
    })
  })

  test('getLedgerEntries gives the contract instance and skips what is absent', async () => {
    const key = new sdk.Contract(bench.ids.reward).getFootprint()
    const found = await server.getLedgerEntries(key)
    assert.equal(found.entries.length, 1)
    assert.equal(found.entries[0].key.toXDR('base64'), key.toXDR('base64'))
    assert.ok(found.entries[0].liveUntilLedgerSeq > found.latestLedger)
    const absent = new sdk.Contract(sdk.StrKey.encodeContract(Buffer.alloc(32, 7))).getFootprint()
    assert.equal((await server.getLedgerEntries(absent)).entries.length, 0)
  })

  test('an unknown hash is NOT_FOUND', async () => {
    const got = await server.getTransaction('ab'.repeat(32))
    assert.equal(got.status, 'NOT_FOUND')
    assert.ok(got.latestLedger > 0)
  })

  test('a used sequence number is refused with a result', async () => {
    const source = await bench.funded()
    const account = await server.getAccount(source.publicKey())
    const payment = () =>
      new sdk.TransactionBuilder(new sdk.Account(source.publicKey(), account.sequenceNumber()), {
        fee: sdk.BASE_FEE,
        networkPassphrase: bench.passphrase,
      })
        .addOperation(
          sdk.Operation.payment({
            destination: bench.admin.publicKey(),
            asset: sdk.Asset.native(),
            amount: '1',
          }),
        )
        .setTimeout(60)
    const first = payment().build()
    first.sign(source)
    assert.equal((await bench.final(first)).status, 'SUCCESS')
    const second = payment().addMemo(sdk.Memo.text('again')).build()
    second.sign(source)
    const answer = await server.sendTransaction(second)
    assert.equal(answer.status, 'ERROR')
    assert.match(JSON.stringify(answer.errorResult), /tx_?bad_?seq/i)
  })

  test('a fee bump is found by its own hash and by the inner one', async () => {
    const sponsor = await bench.funded()
    const to = sdk.Keypair.random().publicKey()
    const inner = await bench.mint(to, 1n)
    const bump = sdk.TransactionBuilder.buildFeeBumpTransaction(
      sponsor,
      String(Number(inner.fee) * 2),
      inner,
      bench.passphrase,
    )
    bump.sign(sponsor)
    const outer = await bench.final(bump)
    assert.equal(outer.status, 'SUCCESS')
    assert.equal(outer.feeBump, true)
    const byInner = await server.getTransaction(hex(inner.hash()))
    assert.equal(byInner.status, 'SUCCESS')
    assert.equal(byInner.ledger, outer.ledger)
  })

  test('a simulation that the contract refuses reports its error', async () => {
    const to = sdk.Address.fromString(sdk.Keypair.random().publicKey()).toScVal()
    const tx = await bench.invoke(
      bench.ids.reward,
      bench.admin.publicKey(),
      'mint',
      to,
      sdk.nativeToScVal(0n, { type: 'i128' }),
    )
    const simulated = await server.simulateTransaction(tx)
    assert.ok(sdk.rpc.Api.isSimulationError(simulated))
    assert.match(simulated.error, /Error\(Contract, #1\)/)
    await assert.rejects(server.prepareTransaction(tx), /Error\(Contract, #1\)/)
  })
}
