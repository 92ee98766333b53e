import * as sdk from 'stellar-sdk-15'
import { suite } from './suite.js'

suite('@stellar/stellar-sdk 15', sdk)
