#include "api/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char *const apis[] = {
	"accounting", "ats", "calendar", "crm", "csp", "customer-support",
	"ecommerce", "email", "email-marketing", "expense-management",
	"file-storage", "form", "hris", "lead", "payroll", "pos",
	"procurement", "project-management", "script", "sms", "spreadsheet",
	"subscription-analytics", "team-messaging", "issue-tracking",
	"time-registration", "transactional-email", "vault", "data-warehouse",
};

/* Everything a subscription may name, but "*". */
static const char *const events[] = {
	"crm.activity.created",
	"crm.activity.updated",
	"crm.activity.deleted",
	"crm.company.created",
	"crm.company.updated",
	"crm.company.deleted",
	"crm.contact.created",
	"crm.contact.updated",
	"crm.contact.deleted",
	"crm.lead.created",
	"crm.lead.updated",
	"crm.lead.deleted",
	"crm.note.created",
	"crm.note.updated",
	"crm.note.deleted",
	"crm.opportunity.created",
	"crm.opportunity.updated",
	"crm.opportunity.deleted",
	"lead.lead.created",
	"lead.lead.updated",
	"lead.lead.deleted",
	"vault.connection.created",
	"vault.connection.updated",
	"vault.connection.disabled",
	"vault.connection.deleted",
	"vault.connection.callable",
	"vault.connection.revoked",
	"vault.connection.migrated",
	"vault.connection.token_refresh.failed",
	"vault.connection.token_refresh.pending",
	"vault.connection.token_refresh.recovered",
	"vault.connection.downstream.degraded",
	"vault.connection.downstream.recovered",
	"ats.job.created",
	"ats.job.updated",
	"ats.job.deleted",
	"ats.applicant.created",
	"ats.applicant.updated",
	"ats.applicant.deleted",
	"accounting.customer.created",
	"accounting.customer.updated",
	"accounting.customer.deleted",
	"accounting.invoice.created",
	"accounting.invoice.updated",
	"accounting.invoice.deleted",
	"accounting.invoice_item.created",
	"accounting.invoice_item.updated",
	"accounting.invoice_item.deleted",
	"accounting.ledger_account.created",
	"accounting.ledger_account.updated",
	"accounting.ledger_account.deleted",
	"accounting.tax_rate.created",
	"accounting.tax_rate.updated",
	"accounting.tax_rate.deleted",
	"accounting.bill.created",
	"accounting.bill.updated",
	"accounting.bill.deleted",
	"accounting.bill_payment.created",
	"accounting.bill_payment.updated",
	"accounting.bill_payment.deleted",
	"accounting.payment.created",
	"accounting.payment.updated",
	"accounting.payment.deleted",
	"accounting.supplier.created",
	"accounting.supplier.updated",
	"accounting.supplier.deleted",
	"accounting.purchase_order.created",
	"accounting.purchase_order.updated",
	"accounting.purchase_order.deleted",
	"accounting.credit_note.created",
	"accounting.credit_note.updated",
	"accounting.credit_note.deleted",
	"pos.order.created",
	"pos.order.updated",
	"pos.order.deleted",
	"pos.product.created",
	"pos.product.updated",
	"pos.product.deleted",
	"pos.payment.created",
	"pos.payment.updated",
	"pos.payment.deleted",
	"pos.merchant.created",
	"pos.merchant.updated",
	"pos.merchant.deleted",
	"pos.location.created",
	"pos.location.updated",
	"pos.location.deleted",
	"pos.item.created",
	"pos.item.updated",
	"pos.item.deleted",
	"pos.modifier.created",
	"pos.modifier.updated",
	"pos.modifier.deleted",
	"pos.modifier-group.created",
	"pos.modifier-group.updated",
	"pos.modifier-group.deleted",
	"hris.employee.created",
	"hris.employee.updated",
	"hris.employee.deleted",
	"hris.employee.terminated",
	"hris.company.created",
	"hris.company.updated",
	"hris.company.deleted",
	"hris.time-off-request.created",
	"hris.time-off-request.updated",
	"hris.time-off-request.deleted",
	"file-storage.file.created",
	"file-storage.file.updated",
	"file-storage.file.deleted",
	"file-storage.drive.updated",
	"issue-tracking.ticket.created",
	"issue-tracking.ticket.updated",
	"issue-tracking.ticket.deleted",
	"ats.application.created",
	"ats.application.updated",
	"ats.application.deleted",
	"accounting.expense.created",
	"accounting.expense.updated",
	"accounting.expense.deleted",
	"ecommerce.order.created",
	"ecommerce.order.updated",
	"ecommerce.order.deleted",
	"ecommerce.order.paid",
	"ecommerce.order.shipped",
	"ecommerce.order.refunded",
	"ecommerce.order.delivered",
	"ecommerce.product.created",
	"ecommerce.product.updated",
	"ecommerce.product.deleted",
	"ecommerce.customer.created",
	"ecommerce.customer.updated",
	"ecommerce.customer.deleted",
	"accounting.quote.created",
	"accounting.quote.updated",
	"accounting.quote.deleted",
	"accounting.project.created",
	"accounting.project.updated",
	"accounting.project.deleted",
	"accounting.tracking_category.created",
	"accounting.tracking_category.updated",
	"accounting.tracking_category.deleted",
};
/* clang-format on */

#define APIS (sizeof(apis) / sizeof(*apis))
#define EVENTS (sizeof(events) / sizeof(*events))

/* Prefixes that published documents and older SDKs spell differently. */
static const struct {
	const char *heard, *kept;
} spellings[] = {
	{ "pos.modifier_group.", "pos.modifier-group." },
	{ "crm.notes.", "crm.note." },
};

/* Names that capital letters alone do not give. */
static const struct {
	const char *id, *name;
} services[] = {
	{ "activecampaign", "ActiveCampaign" },
	{ "apideck-vault", "Apideck Vault" },
	{ "bamboohr", "BambooHR" },
	{ "freshbooks", "FreshBooks" },
	{ "github", "GitHub" },
	{ "gitlab", "GitLab" },
	{ "hubspot", "HubSpot" },
	{ "netsuite", "NetSuite" },
	{ "onedrive", "OneDrive" },
	{ "quickbooks", "QuickBooks" },
	{ "sharepoint", "SharePoint" },
	{ "woocommerce", "WooCommerce" },
	{ "zoho-crm", "Zoho CRM" },
};

bool
catalogue_has_api(struct slice api)
{
	for (size_t i = 0; i < APIS; i++)
		if (slice_is(api, apis[i]))
			return true;
	return false;
}

static bool
starts(struct slice text, const char *prefix)
{
	size_t len = strlen(prefix);

	return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

/* A wildcard is a prefix that ends with a dot, and '*'. */
static bool
is_wildcard(struct slice name)
{
	return name.len > 2 && name.data[name.len - 1] == '*' &&
	       name.data[name.len - 2] == '.';
}

static bool
stands_for(struct slice kept, const char *name)
{
	if (is_wildcard(kept))
		return strncmp(name, (const char *)kept.data, kept.len - 1) ==
		       0;
	return slice_is(kept, name);
}

int
catalogue_event(struct slice name, char *text, size_t size)
{
	const char *prefix = "";
	int n;

	for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
		if (!starts(name, spellings[i].heard))
			continue;
		prefix = spellings[i].kept;
		name.data += strlen(spellings[i].heard);
		name.len -= strlen(spellings[i].heard);
		break;
	}
	if (name.len >= size)
		return -ENOENT;
	n = snprintf(text, size, "%s%.*s", prefix, (int)name.len,
	    (const char *)name.data);
	if (n < 0 || (size_t)n >= size || strlen(text) != (size_t)n)
		return -ENOENT;
	if (strcmp(text, "*") == 0)
		return 0;
	for (size_t i = 0; i < EVENTS; i++)
		if (stands_for(slice_text(text), events[i]))
			return 0;
	return -ENOENT;
}

void
catalogue_expand(
    struct slice kept, void (*fn)(void *arg, const char *name), void *arg)
{
	if (slice_is(kept, "*")) {
		fn(arg, "*");
		return;
	}
	for (size_t i = 0; i < EVENTS; i++)
		if (stands_for(kept, events[i]))
			fn(arg, events[i]);
}

void
catalogue_each(void (*fn)(void *arg, const char *name), void *arg)
{
	for (size_t i = 0; i < EVENTS; i++)
		fn(arg, events[i]);
}

void
catalogue_service_name(struct slice service_id, char *text, size_t size)
{
	bool begins = true;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
		if (slice_is(service_id, services[i].id)) {
			snprintf(text, size, "%s", services[i].name);
			return;
		}
	}
	for (; n < service_id.len && n + 1 < size; n++) {
		char c = (char)service_id.data[n];

		if (c == '-' || c == '_')
			c = ' ';
		if (begins && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		begins = c == ' ';
		text[n] = c;
	}
	text[n] = '\0';
}
