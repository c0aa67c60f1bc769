-- Quotas: limits that many processes share and none can pass.
--
-- Rooms: gcra and windows know time, holds and standing know where a limit stands, claims decides, reservations holds
-- and settles, limits defines, report tells.

local claims = require('lycosa.quota.claims')
local limits = require('lycosa.quota.limits')
local report = require('lycosa.quota.report')
local reservations = require('lycosa.quota.reservations')

return {
    define = limits.define,
    list = limits.list,
    remove = limits.remove,
    reset = limits.reset,
    take = claims.take, take_many = claims.take_many,
    is_near = claims.is_near,
    reserve = reservations.reserve,
    settle = reservations.settle,
    refund = reservations.refund,
    reconcile = reservations.reconcile,
    reservation = reservations.get,
    reservations = reservations.list,
    report = report.run,
    survey = report.survey,
    zoned = limits.zoned,
    renew_zone = limits.renew_zone,
    steps = {reservations.step},
}
