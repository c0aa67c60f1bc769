-- Calendar windows at the edges of zones and calendars. tests/model/quota_test.py holds them to a zone database.

local windows = require('lycosa.quota.windows')

local UTC = {{0, 0}}
-- Central Europe in 2026: an hour ahead of UTC, two in summer.
local BERLIN = {{0, 60}, {1774746000, 120}, {1792890000, 60}}
-- Sao Paulo around 2018-11-04 and 2019-02-17, where clocks were moved at midnight.
local SAO_PAULO = {{0, -180}, {1541300400, -120}, {1550368800, -180}}
-- Lord Howe Island moves its clocks by half an hour.
local LORD_HOWE = {{0, 660}, {1775314800, 630}}

local function check(window, offsets, at, start, ends)
    local found_start, found_ends = windows.bounds(window, offsets, at)
    assert.are.same({start, ends}, {found_start, found_ends})
    assert.is_true(found_start <= at and at < found_ends)
end

describe('calendar windows', function()
    it('begin and end with the units of UTC', function()
        check('minute', UTC, 59.999, 0, 60)
        check('minute', UTC, 60, 60, 120)
        check('hour', UTC, 7200, 7200, 10800)
        check('day', UTC, 86399.5, 0, 86400)
        check('month', UTC, 0, 0, 31 * 86400)
        -- February of 2000, a leap year; of 2100, none; December.
        check('month', UTC, 951782400, 949363200, 951868800)
        check('month', UTC, 4106332800, 4105123200, 4107542400)
        check('month', UTC, 1798761599, 1796083200, 1798761600)
    end)

    it('follow fixed offsets', function()
        check('day', {{0, 180}}, 1700000000, 1699995600, 1700082000)
        check('hour', {{0, 345}}, 1700000000, 1699996500, 1700000100)
        check('day', {{0, -720}}, 1700000000, 1699963200, 1700049600)
    end)

    it('are longer and shorter where clocks are moved', function()
        check('day', BERLIN, 1774746000, 1774738800, 1774821600)
        check('day', BERLIN, 1792890000, 1792879200, 1792969200)
        check('month', BERLIN, 1774746000, 1772319600, 1774994400)
        -- Hours go on in real time.
        check('hour', BERLIN, 1792889999, 1792886400, 1792890000)
        check('hour', BERLIN, 1792890000, 1792890000, 1792893600)
        check('hour', LORD_HOWE, 1775314799, 1775311200, 1775314800)
        check('hour', LORD_HOWE, 1775314800, 1775314800, 1775316600)
        check('hour', LORD_HOWE, 1775316600, 1775316600, 1775320200)
    end)

    it('begin at the first moment of their date where midnight is missing or comes twice', function()
        -- 2018-11-04 has no midnight: it begins at one o'clock.
        check('day', SAO_PAULO, 1541300399, 1541214000, 1541300400)
        check('day', SAO_PAULO, 1541300400, 1541300400, 1541383200)
        -- At the end of 2019-02-16 the hour before midnight comes again; the next day is not reached before.
        check('day', SAO_PAULO, 1550368799, 1550282400, 1550372400)
        check('day', SAO_PAULO, 1550368800, 1550282400, 1550372400)
        check('day', SAO_PAULO, 1550372400, 1550372400, 1550458800)
    end)

    it('go on with a date that was begun, when clocks are put back across midnight', function()
        -- At 00:30 back to 23:30.
        local zone = {{0, 60}, {86400 - 1800, 0}}
        check('day', zone, 86400 - 3600, 86400 - 3600, 2 * 86400)
        check('day', zone, 86400 - 1800, 86400 - 3600, 2 * 86400)
        check('day', zone, 86400, 86400 - 3600, 2 * 86400)
    end)

    it('never end in total', function()
        check('total', UTC, 5, 5, 1e12)
    end)
end)
