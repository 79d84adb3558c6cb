// Package functions is the one program that all functions are: the name of each, which is
// its folder, and what it does.
package functions

import (
	"context"
	"strings"
	"time"

	cancellationspost "titrate/examples/collect/api/cancellations/post"
	driversget "titrate/examples/collect/api/drivers/get"
	driversrouteget "titrate/examples/collect/api/drivers/route/get"
	facilitiesget "titrate/examples/collect/api/facilities/get"
	facilitiesinventoryget "titrate/examples/collect/api/facilities/inventory/get"
	paymentsget "titrate/examples/collect/api/payments/get"
	pickupsget "titrate/examples/collect/api/pickups/get"
	pickupspost "titrate/examples/collect/api/pickups/post"
	pricesget "titrate/examples/collect/api/prices/get"
	quotesget "titrate/examples/collect/api/quotes/get"
	quotespost "titrate/examples/collect/api/quotes/post"
	reportsget "titrate/examples/collect/api/reports/get"
	reportslatestget "titrate/examples/collect/api/reports/latest/get"
	slotsget "titrate/examples/collect/api/slots/get"
	summaryget "titrate/examples/collect/api/summary/get"
	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
	notifyaccounting "titrate/examples/collect/notify/accounting"
	notifydashboard "titrate/examples/collect/notify/dashboard"
	notifydriver "titrate/examples/collect/notify/driver"
	notifyemail "titrate/examples/collect/notify/email"
	notifyfacility "titrate/examples/collect/notify/facility"
	notifyreceipt "titrate/examples/collect/notify/receipt"
	notifysms "titrate/examples/collect/notify/sms"
	onassign "titrate/examples/collect/on/assign"
	oncapture "titrate/examples/collect/on/capture"
	oncollect "titrate/examples/collect/on/collect"
	ondeliver "titrate/examples/collect/on/deliver"
	ongiveup "titrate/examples/collect/on/give-up"
	onhold "titrate/examples/collect/on/hold"
	onquote "titrate/examples/collect/on/quote"
	onrefund "titrate/examples/collect/on/refund"
	onschedule "titrate/examples/collect/on/schedule"
	onepickup "titrate/examples/collect/one/pickup"
	hourlycancellations "titrate/examples/collect/timers/hourly/cancellations"
	hourlydrivers "titrate/examples/collect/timers/hourly/drivers"
	hourlyfacilities "titrate/examples/collect/timers/hourly/facilities"
	hourlyintake "titrate/examples/collect/timers/hourly/intake"
	hourlynotifications "titrate/examples/collect/timers/hourly/notifications"
	hourlypayments "titrate/examples/collect/timers/hourly/payments"
	hourlyquotes "titrate/examples/collect/timers/hourly/quotes"
	hourlyscheduling "titrate/examples/collect/timers/hourly/scheduling"
	minuterequeueaccepted "titrate/examples/collect/timers/minute/requeue-accepted"
	minuterequeueassigned "titrate/examples/collect/timers/minute/requeue-assigned"
	minuterequeueheld "titrate/examples/collect/timers/minute/requeue-held"
	minuterequeuequoted "titrate/examples/collect/timers/minute/requeue-quoted"
	minuterequeuescheduled "titrate/examples/collect/timers/minute/requeue-scheduled"
	minuterequeuesettlements "titrate/examples/collect/timers/minute/requeue-settlements"
	monthlyclosemonth "titrate/examples/collect/timers/monthly/close-month"
	monthlydriverpay "titrate/examples/collect/timers/monthly/driver-pay"
	monthlyinvoices "titrate/examples/collect/timers/monthly/invoices"
	monthlyrecycling "titrate/examples/collect/timers/monthly/recycling"
	nightlyauditmoney "titrate/examples/collect/timers/nightly/audit-money"
	nightlyauditstates "titrate/examples/collect/timers/nightly/audit-states"
	nightlycloseday "titrate/examples/collect/timers/nightly/close-day"
	nightlyforecast "titrate/examples/collect/timers/nightly/forecast"
	nightlyplanroutes "titrate/examples/collect/timers/nightly/plan-routes"
	nightlystaleslots "titrate/examples/collect/timers/nightly/stale-slots"
	nightlystatements "titrate/examples/collect/timers/nightly/statements"
	nightlytonnage "titrate/examples/collect/timers/nightly/tonnage"
	oftendriverload "titrate/examples/collect/timers/often/driver-load"
	oftenexpireaccepted "titrate/examples/collect/timers/often/expire-accepted"
	oftenexpirequoted "titrate/examples/collect/timers/often/expire-quoted"
	oftenfacilityload "titrate/examples/collect/timers/often/facility-load"
	oftenopenpickups "titrate/examples/collect/timers/often/open-pickups"
	oftenrepeatedrequests "titrate/examples/collect/timers/often/repeated-requests"
)

// All are the functions by the folders that they have in the repository.
func All(a *app.App) map[string]fn.Handler {
	f := program{a, map[string]fn.Handler{}}
	f.http("api/cancellations/post", cancellationspost.Handle)
	f.http("api/drivers/get", driversget.Handle)
	f.http("api/drivers/route/get", driversrouteget.Handle)
	f.http("api/facilities/get", facilitiesget.Handle)
	f.http("api/facilities/inventory/get", facilitiesinventoryget.Handle)
	f.http("api/payments/get", paymentsget.Handle)
	f.http("api/pickups/get", pickupsget.Handle)
	f.http("api/pickups/post", pickupspost.Handle)
	f.http("api/prices/get", pricesget.Handle)
	f.http("api/quotes/get", quotesget.Handle)
	f.http("api/quotes/post", quotespost.Handle)
	f.http("api/reports/get", reportsget.Handle)
	f.http("api/reports/latest/get", reportslatestget.Handle)
	f.http("api/slots/get", slotsget.Handle)
	f.http("api/summary/get", summaryget.Handle)
	f.topic("notify/accounting", notifyaccounting.Handle)
	f.topic("notify/dashboard", notifydashboard.Handle)
	f.topic("notify/driver", notifydriver.Handle)
	f.topic("notify/email", notifyemail.Handle)
	f.topic("notify/facility", notifyfacility.Handle)
	f.topic("notify/receipt", notifyreceipt.Handle)
	f.topic("notify/sms", notifysms.Handle)
	f.queue("on/assign", onassign.Handle)
	f.queue("on/capture", oncapture.Handle)
	f.queue("on/collect", oncollect.Handle)
	f.queue("on/deliver", ondeliver.Handle)
	f.dead("on/give-up", ongiveup.Handle)
	f.queue("on/hold", onhold.Handle)
	f.queue("on/quote", onquote.Handle)
	f.queue("on/refund", onrefund.Handle)
	f.queue("on/schedule", onschedule.Handle)
	f.http("one/pickup", onepickup.Handle)
	f.timer("timers/hourly/cancellations", hourlycancellations.Handle)
	f.timer("timers/hourly/drivers", hourlydrivers.Handle)
	f.timer("timers/hourly/facilities", hourlyfacilities.Handle)
	f.timer("timers/hourly/intake", hourlyintake.Handle)
	f.timer("timers/hourly/notifications", hourlynotifications.Handle)
	f.timer("timers/hourly/payments", hourlypayments.Handle)
	f.timer("timers/hourly/quotes", hourlyquotes.Handle)
	f.timer("timers/hourly/scheduling", hourlyscheduling.Handle)
	f.timer("timers/minute/requeue-accepted", minuterequeueaccepted.Handle)
	f.timer("timers/minute/requeue-assigned", minuterequeueassigned.Handle)
	f.timer("timers/minute/requeue-held", minuterequeueheld.Handle)
	f.timer("timers/minute/requeue-quoted", minuterequeuequoted.Handle)
	f.timer("timers/minute/requeue-scheduled", minuterequeuescheduled.Handle)
	f.timer("timers/minute/requeue-settlements", minuterequeuesettlements.Handle)
	f.timer("timers/monthly/close-month", monthlyclosemonth.Handle)
	f.timer("timers/monthly/driver-pay", monthlydriverpay.Handle)
	f.timer("timers/monthly/invoices", monthlyinvoices.Handle)
	f.timer("timers/monthly/recycling", monthlyrecycling.Handle)
	f.timer("timers/nightly/audit-money", nightlyauditmoney.Handle)
	f.timer("timers/nightly/audit-states", nightlyauditstates.Handle)
	f.timer("timers/nightly/close-day", nightlycloseday.Handle)
	f.timer("timers/nightly/forecast", nightlyforecast.Handle)
	f.timer("timers/nightly/plan-routes", nightlyplanroutes.Handle)
	f.timer("timers/nightly/stale-slots", nightlystaleslots.Handle)
	f.timer("timers/nightly/statements", nightlystatements.Handle)
	f.timer("timers/nightly/tonnage", nightlytonnage.Handle)
	f.timer("timers/often/driver-load", oftendriverload.Handle)
	f.timer("timers/often/expire-accepted", oftenexpireaccepted.Handle)
	f.timer("timers/often/expire-quoted", oftenexpirequoted.Handle)
	f.timer("timers/often/facility-load", oftenfacilityload.Handle)
	f.timer("timers/often/open-pickups", oftenopenpickups.Handle)
	f.timer("timers/often/repeated-requests", oftenrepeatedrequests.Handle)
	return f.all
}

// Find returns the function of a handler's name, which is its folder; or else that of a
// function's name, which is the folder with dashes for slashes.
func Find(all map[string]fn.Handler, handler, function string) (fn.Handler, bool) {
	if h, ok := all[handler]; ok {
		return h, true
	}
	for folder, h := range all {
		if strings.ReplaceAll(folder, "/", "-") == function {
			return h, true
		}
	}
	return nil, false
}

// program collects the functions. Each can be probed.
type program struct {
	app *app.App
	all map[string]fn.Handler
}

func (f program) http(folder string, do func(context.Context, *app.App, fn.Request) (fn.Response, error)) {
	f.all[folder] = fn.Probed(fn.HTTP(func(ctx context.Context, r fn.Request) (fn.Response, error) { return do(ctx, f.app, r) }), f.app.Able)
}

func (f program) timer(folder string, do func(context.Context, *app.App, time.Time) error) {
	f.all[folder] = fn.Probed(fn.Timer(func(ctx context.Context, at time.Time) error { return do(ctx, f.app, at) }), f.app.Able)
}

func (f program) queue(folder string, do func(context.Context, *app.App, ledger.Pickup) error) {
	f.all[folder] = fn.Probed(fn.Queue(f.app.Queue(do), f.app.Bad), f.app.Able)
}

// dead is a consumer of dead letters: what names no pickup is noted and dropped.
func (f program) dead(folder string, do func(context.Context, *app.App, ledger.Pickup) error) {
	f.all[folder] = fn.Probed(fn.Queue(f.app.Dead(do), f.app.Bad), f.app.Able)
}

func (f program) topic(folder string, do func(context.Context, *app.App, app.News) error) {
	f.all[folder] = fn.Probed(fn.Topic(f.app.Topic(do)), f.app.Able)
}
