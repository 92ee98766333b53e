import * as sdk from 'stellar-sdk-17'
import { parity } from './spec.js'

parity('@stellar/stellar-sdk 17', sdk)
